-- wrk script: whole URLs, as clients of a proxy send them. BENCH_TARGET is the server's host:port; with BENCH_PAYLOAD
-- the file that it names is posted to /upload, otherwise /hello is asked for.
local target = assert(os.getenv("BENCH_TARGET"))
local payload = os.getenv("BENCH_PAYLOAD")
wrk.headers["host"] = target
local text
if payload then
    local file = assert(io.open(payload, "rb"))
    wrk.headers["content-type"] = "application/json"
    text = wrk.format("POST", "http://" .. target .. "/upload", nil, file:read("*a"))
    file:close()
else
    text = wrk.format("GET", "http://" .. target .. "/hello")
end
request = function()
    return text
end
