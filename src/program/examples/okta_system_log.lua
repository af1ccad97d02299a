-- SPDX-License-Identifier: Apache-2.0
--
-- The Okta System Log: pages are JSON arrays, and a Link header (RFC 8288) names the next one. A query without `until`,
-- oldest events first, is a "polling" query for Okta: there always is a next link, after an empty page too, so the link
-- is the cursor. It is kept between runs with -state.
--
--   YAEGI_HTTP_URL               https://YOUR-ORG.okta.com
--   YAEGI_HTTP_TOKEN             an API token; with YAEGI_HTTP_TOKEN_TYPE=Bearer one of OAuth, scope okta.logs.read
--   YAEGI_HTTP_INITIAL_INTERVAL  where the first run begins, before now (default 1h)
--   YAEGI_HTTP_POLL_INTERVAL     pause after an empty page with -follow (default 10s)
--   YAEGI_HTTP_FILTER            an Okta filter expression, such as eventType eq "user.session.start"
--
--   akamai-prof -prog okta_system_log.lua -follow -state state -duration 1h -sink file:okta.ndjson

local function first_url(ctx)
	local since = ctx.now() - ctx.env:seconds("INITIAL_INTERVAL", 3600)
	return ctx.env.URL:gsub("/+$", "") .. "/api/v1/logs?" .. url.query {
		filter = ctx.env:get("FILTER"),
		limit = 500, -- Okta allows 1000; a page has to fit into what may be emitted at once, 4 MB
		since = time.format(since, "%Y-%m-%dT%H:%M:%S.%3fZ"),
		sortOrder = "ASCENDING",
	}
end

-- Waits until the server wants to be asked again. Okta says when its rate limit begins anew, by its own clock.
local function wait(ctx, answer, failures)
	local pause = math.max(answer.retry_after or 0, math.min(2 ^ failures, 60))
	local reset = tonumber(answer.headers["x-rate-limit-reset"])
	if answer.status == 429 and reset then
		pause = math.max(reset - (answer.date or ctx.now()), 1)
	end
	local status, why = answer.status, answer.fault_text or ""
	ctx.count(status == 429 and "rate_limited" or status >= 500 and "server_errors" or "network_errors")
	ctx.log("warning", ("status %d %s: asking again in %.0f s"):format(status, why, pause))
	ctx.sleep(pause)
end

local function is_passing(answer)
	return answer.status == 429 or answer.status >= 500 or answer.fault and answer.fault_class ~= "stop"
end

function execute(ctx, client, emit)
	local authorization = ctx.env:get("TOKEN_TYPE", "SSWS") .. " " .. ctx.env.TOKEN
	local next_url = ctx.state.next_url or first_url(ctx)
	local poll_interval = ctx.env:seconds("POLL_INTERVAL", 10)
	local failures = 0
	while true do
		local answer = client:get { url = next_url, headers = { Authorization = authorization } }
		if answer.status == 200 and not answer.fault then
			local events = json.items(answer.body, "")
			for _, event in ipairs(events) do
				emit(event)
			end
			failures = 0
			next_url = answer.links.next or next_url
			ctx.state.next_url = next_url
			client:commit(next_url)
			if #events == 0 then
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
