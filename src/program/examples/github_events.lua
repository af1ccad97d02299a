-- SPDX-License-Identifier: Apache-2.0
--
-- The events of a GitHub repository or organization: JSON arrays, newest first, at most 300 events in all. An ETag says
-- whether anything is new: asked with If-None-Match, GitHub answers 304 without a body, which costs nothing of the rate
-- limit. X-Poll-Interval says how long to wait before asking again. Events may appear late and in between, so all pages
-- are read when something is new, and what was not there the last time is handed on, oldest first.
--
--   YAEGI_HTTP_URL    https://api.github.com
--   YAEGI_HTTP_FEED   repos/OWNER/NAME, networks/OWNER/NAME, orgs/NAME or users/NAME
--   YAEGI_HTTP_TOKEN  optional; without one GitHub allows 60 requests an hour
--
--   akamai-prof -prog github_events.lua -follow -state state -duration 8h -sink file:github.ndjson

local function ask(ctx, client, page_url, etag)
	local token = ctx.env:get("TOKEN")
	return client:get { url = page_url, headers = {
		["Accept"] = "application/vnd.github+json",
		["Authorization"] = token and "Bearer " .. token or nil,
		["If-None-Match"] = etag,
		["X-GitHub-Api-Version"] = "2022-11-28",
	} }
end

-- All pages behind a complete first answer, as lists of lines, the oldest page first; or nil and what went wrong.
local function read_pages(ctx, client, answer)
	local pages = { json.items(answer.body, "") }
	while answer.links.next do
		answer = ask(ctx, client, answer.links.next)
		if answer.status ~= 200 or answer.fault then
			return nil, answer
		end
		table.insert(pages, 1, json.items(answer.body, ""))
	end
	return pages
end

-- Hands on what is new. `seen` holds the ids of all events that the feed had the last time.
local function hand_on(ctx, emit, pages)
	if #pages == 0 then
		return -- 304: the feed is as it was
	end
	local seen, now_seen = ctx.state.seen or {}, {}
	for _, lines in ipairs(pages) do
		for i = #lines, 1, -1 do
			local id = json.decode(lines[i]).id
			if not seen[id] and not now_seen[id] then -- pages move while they are read
				emit(lines[i])
			end
			now_seen[id] = true
		end
		ctx.sleep(0) -- what may be emitted without a wait is bounded: 4 MB
	end
	ctx.state.seen = now_seen
end

-- GitHub says 403 or 429 when the rate limit is used up, and when it begins anew by its own clock.
local function is_limited(answer)
	return answer.status == 429 or answer.status == 403 and answer.headers["x-ratelimit-remaining"] == "0"
end

local function wait(ctx, answer, failures)
	local pause = math.max(answer.retry_after or 0, math.min(2 ^ failures, 60))
	local reset = tonumber(answer.headers["x-ratelimit-reset"])
	if is_limited(answer) and reset then
		pause = math.max(reset - (answer.date or ctx.now()), 1)
	end
	local status, why = answer.status, answer.fault_text or ""
	ctx.count(is_limited(answer) and "rate_limited" or status >= 500 and "server_errors" or "network_errors")
	ctx.log("warning", ("status %d %s: asking again in %.0f s"):format(status, why, pause))
	ctx.sleep(pause)
end

function execute(ctx, client, emit)
	local feed = ctx.env.URL:gsub("/+$", "") .. "/" .. ctx.env.FEED .. "/events?per_page=100"
	local failures = 0
	while true do
		local answer = ask(ctx, client, feed, ctx.state.etag)
		local pages, failed = {}, nil
		if answer.status == 200 and not answer.fault then
			pages, failed = read_pages(ctx, client, answer)
		elseif answer.status ~= 304 then
			failed = answer
		end
		if not failed then
			failures = 0
			hand_on(ctx, emit, pages)
			ctx.state.etag = answer.headers.etag or ctx.state.etag
			client:commit(ctx.state.etag)
			if not ctx.follow then
				return "drained"
			end
			ctx.sleep(tonumber(answer.headers["x-poll-interval"]) or 60)
		elseif is_limited(failed) or failed.status >= 500 or failed.fault and failed.fault_class ~= "stop" then
			failures = failures + 1
			wait(ctx, failed, failures)
		else
			error(("status %d: %s"):format(failed.status, failed.fault_text or failed.body:sub(1, 300)), 0)
		end
	end
end
