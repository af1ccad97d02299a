-- SPDX-License-Identifier: Apache-2.0
--
-- The 1Password Events API: each question is a POST with a cursor, and the JSON of the answer has the events, the next
-- cursor, and whether there is more already. The first question has a time instead. With -state the cursor is kept
-- between runs.
--
--   YAEGI_HTTP_URL               https://events.1password.com (.ca, .eu; events.ent.1password.com)
--   YAEGI_HTTP_TOKEN             the bearer token of an Events Reporting integration
--   YAEGI_HTTP_FEATURE           auditevents (default), itemusages or signinattempts; the token must have it
--   YAEGI_HTTP_INITIAL_INTERVAL  where the first run begins, before now (default 1h; the API keeps 120 days)
--   YAEGI_HTTP_POLL_INTERVAL     pause when there is no more, with -follow (default 1m)
--
--   akamai-prof -prog onepassword_events.lua -follow -state state -duration 1h -sink file:onepassword.ndjson

local function first_question(ctx)
	local start = ctx.now() - ctx.env:seconds("INITIAL_INTERVAL", 3600)
	return { limit = 1000, start_time = time.format(start) }
end

local function wait(ctx, answer, failures)
	local pause = math.max(answer.retry_after or 0, math.min(2 ^ failures, 60))
	local status, why = answer.status, answer.fault_text or ""
	ctx.count(status == 429 and "rate_limited" or status >= 500 and "server_errors" or "network_errors")
	ctx.log("warning", ("status %d %s: asking again in %.0f s"):format(status, why, pause))
	ctx.sleep(pause)
end

local function is_passing(answer)
	return answer.status == 429 or answer.status >= 500 or answer.fault and answer.fault_class ~= "stop"
end

function execute(ctx, client, emit)
	local feed = ctx.env.URL:gsub("/+$", "") .. "/api/v2/" .. ctx.env:get("FEATURE", "auditevents")
	local headers = { ["Authorization"] = "Bearer " .. ctx.env.TOKEN, ["Content-Type"] = "application/json" }
	local question = ctx.state.cursor and { cursor = ctx.state.cursor } or first_question(ctx)
	local poll_interval = ctx.env:seconds("POLL_INTERVAL", 60)
	local failures = 0
	while true do
		local body = json.encode(question)
		local answer = client:get { method = "POST", url = feed, headers = headers, body = body }
		if answer.status == 200 and not answer.fault then
			for _, event in ipairs(json.items(answer.body, "items")) do
				emit(event)
			end
			failures = 0
			local page = json.decode(answer.body)
			question = { cursor = page.cursor }
			ctx.state.cursor = page.cursor
			client:commit(page.cursor)
			if not page.has_more then
				if not ctx.follow then
					return "drained"
				end
				ctx.sleep(poll_interval)
			end
		elseif is_passing(answer) then
			failures = failures + 1
			wait(ctx, answer, failures)
		else
			error(("status %d: %s"):format(answer.status, answer.fault_text or answer.body:sub(1, 300)), 0)
		end
	end
end
