-- wrk script: whole URLs, as clients of a proxy send them. BENCH_TARGET is the server's host:port; with BENCH_PAYLOAD
-- the file that it names is posted to /upload, otherwise /hello is asked for. With BENCH_VARIED each body has a number.
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
local varied = os.getenv("BENCH_VARIED") == "yes"
local half, rest = math.floor(#text / 2), ""
local count = 0
if varied then
    rest = text:sub(half + 9)
    half = text:sub(1, half)
end
request = function()
    if not varied then
        return text
    end
    count = count + 1
    return half .. string.format("%08d", count) .. rest
end
