-- What somebody writes who wants events at Segment and has nginx with ngx_lua:
-- each event of an upload becomes a message of Segment and goes to the end of
-- a list in shared memory; a timer takes them from there in batches, and posts
-- them.  Nothing of it is on a disk.  bench-peers measures it beside ctseg.
--
--	init_by_lua_block { peer = dofile("nginx.lua")(PORT) }
--	init_worker_by_lua_block { peer.start() }
--	location = /1/upload { content_by_lua_block { peer.collect() } }

local cjson = require "cjson.safe"

local ngx = ngx
local concat, date, encode = table.concat, os.date, cjson.encode

-- Segment refuses 500,000 bytes; it takes 2,500 events

local max_bytes, max_events = 475000, 2500
local linger = 0.05		-- s before an emptied list is looked at
local again = 0.2		-- s after an attempt that failed
local turns = 100		-- batches of one timer, which keeps memory

local head = '{"writeKey":"bench","batch":['
local tail = ']}'

local peer = {}
local list			-- the shared dictionary
local prefix			-- of the ids of this worker
local made = 0			-- ids so far
local kept			-- a message that no batch had room for
local port


local function message(record)
	if type(record) ~= "table" or record.type ~= "event"
		or not record.identity or not record.evtName
	then
		return nil
	end

	made = made + 1

	return encode({
		type = "track",
		messageId = prefix .. made,
		userId = record.identity,
		event = record.evtName,
		properties = record.evtData,
		timestamp = date("!%Y-%m-%dT%H:%M:%S.000Z",
			record.ts or ngx.time()),
	})
end


function peer.collect()
	ngx.req.read_body()

	local body = ngx.req.get_body_data()
	local upload = body and cjson.decode(body)

	if type(upload) ~= "table" or type(upload.d) ~= "table" then
		return ngx.exit(400)
	end

	local taken = 0

	for _, record in ipairs(upload.d) do
		local text = message(record)

		if text then
			if not list:rpush("events", text) then
				return ngx.exit(503)
			end

			taken = taken + 1
		end
	end

	ngx.header["Content-Type"] = "application/json"

	local answer = '{"status":"success","processed":' .. taken .. '}\n'

	ngx.header["Content-Length"] = #answer
	ngx.print(answer)
end


-- messages with commas between them, how many, and bytes of the whole

local function take()
	local parts, n, bytes = {}, 0, #head + #tail

	while n < max_events do
		local text = kept or list:lpop("events")

		kept = nil

		if not text then
			break
		end

		if n > 0 and bytes + #text + 1 > max_bytes then
			kept = text
			return parts, n, bytes, true
		end

		if n > 0 then
			parts[2 * n] = ","
			bytes = bytes + 1
		end

		n = n + 1
		parts[2 * n - 1] = text
		bytes = bytes + #text
	end

	return parts, n, bytes, n == max_events
end


local function post(parts, bytes)
	local sock = ngx.socket.tcp()

	sock:settimeouts(5000, 10000, 10000)

	if not sock:connect("127.0.0.1", port) then
		return false
	end

	if not sock:send({ "POST /v1/batch HTTP/1.1\r\nHost: 127.0.0.1\r\n",
		"Content-Type: application/json\r\nContent-Length: ", bytes,
		"\r\n\r\n", head, parts, tail })
	then
		sock:close()
		return false
	end

	local line = sock:receive("*l")
	local ok = line and line:find("^HTTP/1%.1 2") ~= nil
	local length = 0

	while line and line ~= "" do
		length = tonumber(line:match("^[Cc]ontent%-[Ll]ength: (%d+)"))
			or length
		line = sock:receive("*l")
	end

	if not line or (length > 0 and not sock:receive(length)) then
		sock:close()
		return false
	end

	sock:setkeepalive(60000, 8)

	return ok
end


local function deliver(premature)
	for _ = 1, turns do
		local parts, n, bytes, full = take()

		while n > 0 and not post(parts, bytes) do
			if ngx.worker.exiting() then
				return
			end

			ngx.sleep(again)
		end

		if not full then
			if premature or ngx.worker.exiting() then
				return
			end

			ngx.sleep(linger)
		end
	end

	ngx.timer.at(0, deliver)
end


function peer.start()
	list = ngx.shared.events
	prefix = "peer-" .. ngx.now() * 1000 .. "-" .. ngx.worker.pid() .. "-"
	ngx.timer.at(0, deliver)
end


return function(number)
	port = number

	return peer
end
