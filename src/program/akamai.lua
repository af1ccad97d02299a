-- SPDX-License-Identifier: Apache-2.0
--
-- Polls the Akamai SIEM API for one configId: the default program, and the one to copy for an API of your own.
--
-- The API is asked in two ways. By offset: "what was stored after this token". That is home, because nothing can be
-- missed between two questions. By time: "what was stored from here on, at most 12 hours back". That is the start, and
-- the way back when the server no longer takes the offset. The last line of a page says how many events it has and what
-- the next offset is. The server cuts answers that take longer than two minutes, so a page counts only when it is
-- complete; otherwise it is asked for again, when it was cut with half the limit.
--
-- The loop is execute(), at the end; above it: what answers mean, recovery by time, asking and signing. README.md here
-- explains ctx and client. Times are in seconds, those with a date since 1970.

local HISTORY = 12 * 3600 -- what the API keeps
local MARGIN, MARGIN_WIDE = 60, 300 -- from its edge, so that a slow request stays inside; when that was not enough
local LATENCY = 5 -- the API withholds the newest events so long: asking sooner finds nothing new
local OVERLAP = 60 -- of a recovery that knows no event time
local PAUSE_MAX = 60
local RETRY_AFTER_MAX = 3600 -- a longer Retry-After is cut: the feed would be lost anyway
local RECOVERIES_MAX = 5 -- by time, in a row, without one good page
local RETRIES_MAX = 3 -- of a refused nonce or clock, and of a refusal whose reason got lost on the way
local SEARCH_LINES_MAX = 5000000 -- lines looked at for the last event handed on
local OFFSET_BYTES_MAX = 4096 -- real ones have 130
local DATE_MAX = 8000000000 -- the year 2223: a later Date is no clock

local ctx, client -- what execute() was given
local settings -- what does not change: read_settings()
local plan -- where we are: begin()

---- Words and the clock ----

-- The server's clock, as far as we know it.
local function now()
	return ctx.now() + plan.skew
end

local function warn(text, ...)
	ctx.log("warning", text:format(...))
end

local function with_name(text)
	return "configId " .. ctx.name:sub(1, 100) .. ": " .. text
end

-- Ends the stream. Level 0, because the sentence is for whoever runs this; a line of this file would not help.
local function stop(text)
	error(with_name(text), 0)
end

-- As Go writes durations, no finer than milliseconds.
local function duration(seconds)
	local ms = math.floor(seconds * 1000 + 1e-7) -- because 0.57 * 1000 is a little less than 570
	if ms < 1000 then
		return ms > 0 and ms .. "ms" or "0s"
	end
	local hours, minutes, rest = ms // 3600000, ms // 60000 % 60, ("%gs"):format(ms % 60000 / 1000)
	if hours > 0 then
		return hours .. "h" .. minutes .. "m" .. rest
	end
	return minutes > 0 and minutes .. "m" .. rest or rest
end

-- " (" .. text .. ")", say; nothing when there is no text. Cut between characters.
local function part(prefix, text, bytes_max, suffix)
	while bytes_max > 0 and #text > bytes_max and text:byte(bytes_max + 1) & 0xc0 == 0x80 do
		bytes_max = bytes_max - 1
	end
	return text ~= "" and prefix .. text:sub(1, bytes_max) .. (suffix or "") or ""
end

-- The server's words about a refusal, and what to do about it.
local function refusal(answer, what_to_do)
	local text = "the server answers status " .. answer.status
	local problem = answer.problem
	if problem then
		local title, detail, id, ip = problem.title, problem.detail, problem.request_id, problem.server_ip
		text = text .. part(', "', title, 300, '"')
		text = text .. part(": ", detail ~= title and detail or "", 400)
		text = text .. part(", type ", title .. detail == "" and problem.type or "", 200)
		text = text .. part(" (requestId ", id, 100)
		text = text .. part(id ~= "" and ", serverIp " or " (serverIp ", ip, 64)
		text = text .. (id .. ip ~= "" and ")" or "")
	end
	return text .. ". " .. what_to_do
end

local function warn_refusal(answer, what_to_do)
	ctx.log("warning", with_name(refusal(answer, what_to_do)))
end

---- Asking: the URL and its EdgeGrid signature ----

-- Keys in alphabetical order, as signed.
local function question()
	local base = settings.url .. "/configs/" .. url.escape(ctx.name)
	if not plan.by_time then
		return ("%s?limit=%d&offset=%s"):format(base, plan.limit, url.escape(plan.offset))
	end
	local window = plan.window
	local to = window.to and "&to=" .. window.to or ""
	return ("%s?from=%d&limit=%d%s"):format(base, window.from, plan.limit, to)
end

-- Of the headers that are sent, those that the configuration wants signed, in its order.
local function headers_to_sign(headers)
	local lines = {}
	for wanted in settings.headers_to_sign:lower():gmatch("[^,%s]+") do
		for name, value in pairs(headers) do
			if name:lower() == wanted then
				lines[#lines + 1] = wanted .. ":" .. value
			end
		end
	end
	return table.concat(lines, "\t")
end

-- EG1-HMAC-SHA256. The key of a moment is used as its base64 text, as is the secret.
local function authorization(url_text, headers)
	local parts = url.parse(url_text)
	local timestamp = time.format(math.floor(now()), "%Y%m%dT%H:%M:%S+0000")
	local head = ("EG1-HMAC-SHA256 client_token=%s;access_token=%s;timestamp=%s;nonce=%s;"):format(
		ctx.env.CLIENT_TOKEN, ctx.env.ACCESS_TOKEN, timestamp, crypto.uuid())
	local key = base64.encode(crypto.hmac_sha256(ctx.env.CLIENT_SECRET, timestamp))
	local body_hash = "" -- a GET has no body
	local to_sign = table.concat({ "GET", parts.scheme, parts.authority:lower(), parts.target,
		headers_to_sign(headers), body_hash, head }, "\t")
	return head .. "signature=" .. base64.encode(crypto.hmac_sha256(key, to_sign))
end

local function signed_headers(url_text)
	local headers = { ["User-Agent"] = "akamai-prof", ["Accept"] = "application/json",
		["Accept-Encoding"] = settings.identity and "identity" or "gzip" }
	headers["Authorization"] = authorization(url_text, headers)
	return headers
end

-- In full parsing every event is looked at: the newest time that it speaks of.
local function note_event_time(event)
	local function note(value)
		local seconds = tonumber(value) -- a number, or one in quotes
		if seconds and seconds > plan.newest_in_page then
			plan.newest_in_page = seconds
		end
	end
	note(event.timestamp)
	note(event.time)
	note(event.eventTime)
	note(event.event_timestamp)
	local message = event.httpMessage
	if type(message) == "table" then
		note(message.start)
		note(message.timeStamp)
		note(message["end"])
	end
end

local function ask()
	local url_text = question()
	plan.newest_in_page = 0
	return client:stream {
		url = url_text,
		-- A function: signed when the connection stands, because a signature is good for 30 seconds.
		headers = function() return signed_headers(url_text) end,
		context = true,
		resume = plan.resume,
		on_event = ctx.parse == "full" and note_event_time or nil,
	}
end

---- Time windows, and recovery by time ----

local function oldest(margin)
	return math.max(0, math.floor(now()) - HISTORY + margin)
end

local function start_from()
	return settings.from > 0 and settings.from or math.floor(now() - settings.initial_interval)
end

-- The same `from` once more, with a `to` of now; positions in it count anew.
local function window_again()
	local window, to = plan.window, math.floor(now() - settings.to_lag)
	window.to = settings.to_lag > 0 and to > window.from and to or nil
	window.has_lines = false
	plan.by_time = true
end

-- The window stays as it is until a page of it is committed: a repeat has to find the same events.
local function window_open(from, margin, is_start)
	local window = plan.window
	from = math.max(0, from)
	local gap = math.max(0, oldest(margin) - from)
	ctx.count("gap_seconds", gap - window.gap) -- a window without a good page is replaced, and its gap with it
	if gap > 0 then
		warn("The API keeps 12 hours: history is read from %d on, %d s later than wanted; older events are "
			.. "out of reach.", from + gap, gap)
	end
	window.from, window.gap, window.is_start = from + gap, gap, is_start
	window_again()
end

-- Where nothing can have been missed before, and whether that is known. An event's own time is never later than its
-- storage, so the newest of committed pages is safe. Without any, a small page says that all had been read by then.
local function recovery_from()
	if plan.newest_committed then
		return math.floor(plan.newest_committed), true
	elseif plan.caught_up then
		return math.floor(plan.last_success) - math.floor(settings.to_lag) - OVERLAP, true
	elseif not plan.cursor_given then
		return plan.start_from, true
	elseif plan.requests == 0 then
		return plan.start_from, settings.from > 0 -- refused at once: its giver says how far to go back
	end
	return oldest(MARGIN), false
end

local function recover(why)
	if plan.recoveries >= RECOVERIES_MAX then
		stop(("%s again, after %d recoveries by time in a row without a good page. Start again with another "
			.. "`from`, or report this to Akamai."):format(why, plan.recoveries))
	end
	ctx.count("recoveries")
	plan.recoveries = plan.recoveries + 1
	plan.offsets_refused = plan.offsets_refused + 1
	plan.searched_lines = 0
	local from, is_known = recovery_from()
	warn("%s: reading again by time.", why)
	window_open(from, MARGIN, false)
	if not is_known then
		warn("It is not known where the offset stood: events before %d may be missing (set `from` to read "
			.. "them).", plan.window.from)
	end
	if not plan.last_lines then
		plan.resume = "position"
	elseif plan.window.from > plan.last_lines + MARGIN then
		plan.resume = "none" -- the last line handed on is older than all that is left
	else
		plan.resume = "search"
	end
end

-- Just before a request: an offset that is too old goes by time; a window that has left the history is moved.
local function refresh()
	local ttl, window = settings.offset_ttl, plan.window
	if not plan.by_time then
		if ttl > 0 and plan.requests > 0 and ctx.monotonic() - plan.last_success_monotonic > ttl then
			recover("The offset is older than offset_ttl")
		end
	elseif window.from < oldest(0) then
		local had_lines = window.has_lines
		window_open(window.from - window.gap, MARGIN, window.is_start)
		if plan.resume == "position" and had_lines then
			plan.resume = "search" -- positions have moved with the window
		end
		if plan.resume == "search" and window.from > (plan.last_lines or 0) + MARGIN then
			plan.resume = "none"
		end
	end
end

---- When something goes wrong ----

local function jitter(seconds)
	return ctx.random(math.floor(seconds * 1e9) + 1) / 1e9
end

-- Before the n-th try after a failure: doubles each time; up to half of it is left to chance, so that streams that
-- failed together do not come back together.
local function pause(n, least)
	local seconds = settings.backoff
	for _ = 2, n do
		seconds = math.min(seconds * 2, PAUSE_MAX)
	end
	seconds = math.min(seconds, PAUSE_MAX)
	plan.pause = math.max(seconds - jitter(seconds / 2), least)
	ctx.count("backoff_seconds", plan.pause)
end

local function when()
	return plan.pause >= 0.001 and "in " .. duration(plan.pause) or "at once"
end

-- The same question again, later.
local function ask_again(answer, fault_text, retry_after)
	local least = math.min(retry_after or 0, RETRY_AFTER_MAX)
	if least > 0 then
		least = least + jitter(least / 10) -- streams of one account are told the same
	end
	plan.failures = plan.failures + 1
	pause(plan.failures, least)
	local what = ("Asking again %s (failure %d in a row)."):format(when(), plan.failures)
	if answer.status ~= 0 and answer.status ~= 200 then
		warn_refusal(answer, what)
	else
		ctx.log("warning", with_name(fault_text .. ". " .. what))
	end
end

local DAMAGE = { INFLATE_DATA = true, INFLATE_CHECKSUM = true, INFLATE_SIZE = true }

-- The page is incomplete: the same question with half the limit, the first time at once. And if it is not cut but
-- damaged, with the same limit: a smaller page would be no better, and it takes one as long as before to prove the
-- lines that are out.
local function ask_page_again(answer, fault_text)
	local events = answer.events or 0
	ctx.count("truncations")
	plan.failures = plan.failures + 1
	plan.truncations = plan.truncations + 1
	if plan.truncations > 1 or not DAMAGE[answer.fault] then
		plan.limit = math.max(plan.limit // 2, 1)
	end
	if plan.resume == "none" and events > 0 then
		plan.resume = "position" -- what was handed on now is skipped when it comes again
	end
	if plan.truncations > 1 then
		pause(plan.truncations - 1, 0)
	end
	ctx.log("warning", with_name(("%s (after %d events). Asking for the page again %s, with limit %d."):format(
		fault_text, events, when(), plan.limit)))
end

---- Pages ----

-- The last line handed on is not there: hand on all from the same `from`. Events may come twice, none is lost.
local function search_exhausted()
	ctx.count("skip_mismatches")
	plan.resume = "none"
	warn("The last event handed on was not found again among %d lines; all events from %d on are handed on, some "
		.. "perhaps for the second time.", plan.searched_lines, plan.window.from)
	window_again()
end

-- The page does not repeat what was handed on of it before: nothing can be skipped safely.
local function mismatched()
	if plan.resume == "search" then
		return search_exhausted() -- earlier pages of the search are not proven either
	end
	ctx.count("skip_mismatches")
	plan.resume = "none"
	warn("The server repeated the page with other events than before; it is handed on whole, some events perhaps "
		.. "for the second time.")
end

local function note_page_time(answer)
	plan.last_success = now()
	local newest = math.max(answer.newest_event or 0, plan.newest_in_page)
	newest = math.min(newest, now()) -- one in the future is not true, and would make a recovery begin too late
	if newest > (plan.newest_committed or 0) then
		plan.newest_committed = newest
	end
end

-- An offset that does not move although events came: the same ones will come again. Told once.
local function note_stuck_offset(context)
	local is_stuck = not plan.by_time and context.total > 0 and context.offset == plan.offset
	if is_stuck and not plan.is_stuck then
		warn("The server answers with the offset that was asked for, although events came with it: they may "
			.. "come again.")
	end
	plan.is_stuck = is_stuck
end

-- A window that was asked for again and again has an old `to`: that it is empty says nothing about what came after.
local function is_window_stale()
	local to = plan.by_time and plan.window.to
	return to and math.floor(now() - settings.to_lag) - to > LATENCY
end

-- When to go on after a good page.
local function go_on(total, may_be_more)
	plan.pause = settings.poll_interval
	if total == 0 and not may_be_more then
		plan.is_drained = not ctx.follow
		plan.pause = plan.pause > 0 and plan.pause or LATENCY
	end
end

local function commit(answer)
	local context, asked_limit = answer.context, plan.limit
	plan.requests = plan.requests + 1
	plan.limit = math.min(plan.limit * 2, settings.limit)
	plan.failures, plan.truncations, plan.nonce_retries, plan.clock_retries = 0, 0, 0, 0
	-- A search goes on until the last line handed on is found. Until then its pages are not proven to be old, so
	-- the cursor, where a next run would begin, stays where it was.
	local is_searching = plan.resume == "search" and answer.skip == "open"
	if is_searching then
		plan.searched_lines = plan.searched_lines + answer.events
		-- An empty window may end before that line (our clock may be behind); what its offset finds counts.
		local at_end = context.total == 0 and not plan.by_time
		if at_end or plan.searched_lines > SEARCH_LINES_MAX then
			return search_exhausted()
		end
	else
		note_page_time(answer)
		plan.resume = "position"
		plan.cursor = context.offset
		plan.caught_up = context.total <= (asked_limit - 1) // 10
	end
	plan.last_success_monotonic = ctx.monotonic()
	local may_be_more = is_searching or is_window_stale()
	-- A search that only ever sees its first page, because every offset is refused, gets nowhere.
	if not is_searching or not plan.by_time then
		plan.recoveries = 0
	end
	if not plan.by_time then
		plan.offsets_refused = 0
	end
	note_stuck_offset(context)
	plan.offset, plan.by_time, plan.range_corrected = context.offset, false, false
	plan.window.gap = 0 -- it stays counted
	ctx.state.cursor, ctx.state.newest_event = plan.cursor, plan.newest_committed
	client:commit(plan.cursor)
	go_on(context.total, may_be_more)
end

local function is_usable(offset)
	return offset ~= "" and #offset <= OFFSET_BYTES_MAX and not offset:find("\0", 1, true)
end

-- Status 200.
local function page_answered(answer)
	local fault, class, context = answer.fault, answer.fault_class, answer.context
	local has_end = not fault or fault == "PAGE_NO_CONTEXT" or fault == "CONTROL_JSON"
	if has_end and not context and not answer.looks_like_events and answer.body_bytes > 0 then
		stop("this is not the SIEM API: status 200, but the body does not begin with '{'. Check the host in "
			.. "the URL or in .edgerc; a proxy's login page looks like this too.")
	elseif class == "stop" then
		stop(answer.fault_text .. ".")
	elseif class == "retry" then
		ctx.count("network_errors")
		local again = answer.body_bytes > 0 and ask_page_again or ask_again
		again(answer, answer.fault_text)
	elseif class == "restart" then
		ask_page_again(answer, answer.fault_text)
	elseif answer.skip == "mismatch" and plan.resume ~= "none" then
		mismatched()
	elseif not context or not is_usable(context.offset) then
		ask_page_again(answer, "the last line of the page is not an offset context")
	elseif context.total ~= answer.events then
		ask_page_again(answer, "the offset context counts other events than the page holds")
	else
		commit(answer)
	end
end

---- Refusals: 400 is both fatal and transient at this API, so the words decide, never the status alone ----

local CLOCK_HINT = "The timestamp of the signature may be 30 s off at most: set this host's clock (NTP), or find what "
	.. "holds requests back on their way."
local PARAMETERS_HINT = "Check configId, limit, from and cursor."
local HINTS = {
	[400] = PARAMETERS_HINT, [410] = PARAMETERS_HINT, [416] = PARAMETERS_HINT, [422] = PARAMETERS_HINT,
	[401] = "Check client_token, client_secret and access_token (they expire, two years after they were made "
		.. "unless renewed) and that the host belongs to them.",
	[403] = "Give the API client the SIEM service and the role Manage SIEM for this configuration; one id without "
		.. "that right makes a whole list of ids fail.",
	[404] = "Check the configId; one unknown id makes a whole list of ids fail.",
}
local REDIRECT_HINT = "A redirect is never followed, because the signature is bound to the host; check the host in the "
	.. "URL or in .edgerc, and proxies."
local OTHER_HINT = "This is not what the SIEM API answers; check the host and what is in between."

local function stop_by_status(answer)
	local other = answer.status // 100 == 3 and REDIRECT_HINT or OTHER_HINT
	stop(refusal(answer, HINTS[answer.status] or other))
end

local function has_any(text, words)
	for _, word in ipairs(words) do
		if text:find(word, 1, true) then
			return true
		end
	end
	return false
end

-- Whether the problem's title or detail holds one of the words, in any case.
local function says(answer, words)
	local problem = answer.problem
	return problem and has_any((problem.title .. "\n" .. problem.detail):lower(), words)
end

-- These pass by themselves.
local function is_busy(status)
	return status == 408 or status == 425 or status == 428 or status == 429 or status // 100 == 5
end

-- 416 says so by itself; 400, 410 and 422 must name the offset. What the gateway refuses is about authentication.
local function is_offset_refused(answer)
	local status, kind = answer.status, answer.problem and answer.problem.type or ""
	if plan.by_time or has_any(kind, { "pep-authn" }) then
		return false
	elseif status ~= 400 and status ~= 410 and status ~= 422 then
		return status == 416
	end
	local words = { "offset", "cursor", "token" }
	return says(answer, words) or has_any(kind, words)
end

local function offset_refused(answer)
	local refused_before = plan.offsets_refused
	warn_refusal(answer, "Reading again by time.")
	recover(("The server refuses the offset (status %d)"):format(answer.status))
	if refused_before > 0 then
		pause(refused_before, 0) -- a server that takes none of the offsets it gives is not asked at full speed
	end
end

-- "Invalid timestamp": the signature's clock, not the question, is wrong. The Date header has the right one.
local function clock_refused(answer)
	if plan.clock_retries >= RETRIES_MAX then
		stop(refusal(answer, CLOCK_HINT))
	end
	plan.clock_retries = plan.clock_retries + 1
	if not answer.date or answer.date > DATE_MAX then
		return ask_again(answer)
	end
	plan.skew = answer.date - ctx.now()
	ctx.count("clock_skew_seconds", plan.skew)
	ctx.count("clock_corrections")
	warn_refusal(answer, CLOCK_HINT)
	local seconds = answer.date - math.floor(ctx.now() + 0.5)
	warn("The server's clock is %s %s this host's; signing with the server's time.", duration(math.abs(seconds)),
		seconds < 0 and "behind" or "ahead of")
	if plan.requests == 0 and not plan.last_lines then
		plan.start_from = start_from()
	end
	local window = plan.window
	if plan.by_time and not window.has_lines then -- it was computed with the wrong clock
		window_open(window.is_start and plan.start_from or window.from - window.gap, MARGIN, window.is_start)
	end
end

-- `from` is older than what the server keeps: moves it, once per window. False: it is not that.
local function range_corrected(answer)
	local words = { "out of range", "too old", "12 hours", "twelve hours" }
	local is_named = answer.status == 416 or answer.status == 400 and says(answer, words)
	local window, edge = plan.window, math.floor(now()) - HISTORY
	if not plan.by_time or not is_named or plan.range_corrected or window.from >= edge + MARGIN_WIDE then
		return false
	end
	local had_lines = window.has_lines
	plan.range_corrected = true
	window_open(window.from - window.gap, window.from < edge + MARGIN and MARGIN or MARGIN_WIDE, window.is_start)
	if had_lines and plan.resume == "position" then
		plan.resume = "search"
	end
	return true
end

-- Any status but 200.
local function refused(answer)
	local status, class = answer.status, answer.fault_class
	local is_unread = not answer.problem and status >= 400 and (class == "retry" or class == "restart")
	if is_busy(status) then
		ctx.count("rate_limited", status == 429 and 1 or 0)
		ctx.count("server_errors", status >= 500 and 1 or 0)
		ask_again(answer, nil, answer.retry_after)
	elseif is_unread and plan.failures < RETRIES_MAX then
		ask_again(answer, nil, answer.retry_after)
	elseif status == 400 and says(answer, { "timestamp" }) then
		clock_refused(answer)
	elseif status == 401 and plan.nonce_retries < RETRIES_MAX and says(answer, { "nonce" }) then
		plan.nonce_retries = plan.nonce_retries + 1 -- the next request is signed with a new one anyway
		warn_refusal(answer, "Asking again with a new nonce.")
	elseif is_offset_refused(answer) then
		offset_refused(answer)
	elseif range_corrected(answer) then
		warn_refusal(answer, "Asking again from a later time.")
	else
		stop_by_status(answer)
	end
end

-- No answer, or a fault of ours in the middle of it.
local function transport_failed(answer)
	if answer.fault_class == "stop" then
		stop(answer.fault_text .. ".")
	elseif answer.fault_class == "restart" then
		ask_page_again(answer, answer.fault_text)
	else
		local no_fault = "the connection ended before the HTTP response head was complete"
		ctx.count("network_errors")
		ask_again(answer, answer.fault_text or no_fault, answer.retry_after)
	end
end

---- The loop ----

-- Faults of a refusal's body that do not matter once the status is known.
local HARMLESS = { HTTP_ENCODING = true, INFLATE_LIMIT = true, PAGE_LINE_LIMIT = true }

local function judge(answer)
	if answer.status ~= 200 then
		local is_ours = answer.fault_class == "stop" and not HARMLESS[answer.fault]
		local judge_it = (answer.status == 0 or is_ours) and transport_failed or refused
		return judge_it(answer)
	end
	local is_skipped = answer.skip == "mismatch" or plan.resume == "search" and answer.skip == "open"
	if answer.events > 0 and not is_skipped then
		plan.last_lines = math.floor(now())
		plan.window.has_lines = plan.by_time
	end
	page_answered(answer)
end

local function read_settings()
	local env = ctx.env
	settings = {
		url = env.URL:gsub("/+$", ""),
		limit = env:number("LIMIT", 1000), -- events in a page
		from = env:number("FROM", 0), -- where to begin; 0: initial_interval ago
		initial_interval = env:seconds("INITIAL_INTERVAL", 3600),
		to_lag = env:seconds("TO_LAG", 5), -- `to` is now less this; 0: no `to`
		offset_ttl = env:seconds("OFFSET_TTL", 120), -- an offset older than this goes by time; 0: never
		poll_interval = env:seconds("POLL_INTERVAL", 0),
		max_requests = env:number("MAX_REQUESTS", 0),
		headers_to_sign = env:get("HEADERS_TO_SIGN", ""),
		backoff = env:seconds("BACKOFF", 1), -- the first pause after a failure
		identity = env:get("IDENTITY") == "1", -- 1: do not ask for gzip
	}
end

local function begin()
	local given = ctx.env:get("CURSOR")
	local cursor = given or ctx.state.cursor or ""
	plan = {
		cursor = cursor, -- where a next run may begin without losing an event
		cursor_given = cursor ~= "",
		offset = cursor, -- what to ask with, unless by_time
		by_time = false,
		window = { from = 0, to = nil, gap = 0, is_start = false, has_lines = false },
		limit = settings.limit,
		resume = "position", -- what becomes of lines that were handed on before, see README.md
		pause = 0, -- before the next request
		skew = 0, -- the server's clock less ours
		requests = 0, -- good pages
		failures = 0, truncations = 0, recoveries = 0, offsets_refused = 0, -- each in a row
		nonce_retries = 0, clock_retries = 0, range_corrected = false,
		searched_lines = 0,
		last_lines = nil, last_success = 0, last_success_monotonic = 0, -- when there were some
		newest_in_page = 0,
		newest_committed = not given and ctx.state.newest_event or nil,
		caught_up = false, is_stuck = false, is_drained = false,
	}
	plan.start_from = start_from()
	if #cursor > OFFSET_BYTES_MAX then
		stop("the cursor is longer than " .. OFFSET_BYTES_MAX .. " bytes and so is none.")
	elseif cursor == "" then
		window_open(plan.start_from, MARGIN, true)
	end
end

function execute(run_ctx, run_client)
	ctx, client = run_ctx, run_client
	read_settings()
	begin()
	while not plan.is_drained do
		if settings.max_requests > 0 and plan.requests >= settings.max_requests then
			return "max-requests"
		end
		if plan.pause > 0 then
			ctx.sleep(plan.pause)
			plan.pause = 0
		end
		refresh()
		judge(ask())
	end
	return "drained"
end
