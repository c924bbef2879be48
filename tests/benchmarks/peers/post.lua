-- wrk script: POST the file that BENCH_PAYLOAD names with every request.
local file = assert(io.open(os.getenv("BENCH_PAYLOAD"), "rb"))
wrk.method = "POST"
wrk.body = file:read("*a")
wrk.headers["content-type"] = "application/json"
file:close()
