// SPDX-License-Identifier: Apache-2.0
// Makes one flame graph zoom, search and fit its width. The picture is complete without it. No ids: several live in one page.
function flame(svg) {
	"use strict";
	const SVG = "http://www.w3.org/2000/svg", HTML = "http://www.w3.org/1999/xhtml";
	const padding = 3, thin = 2.5, near = 3e-6;
	const alone = document.documentElement === svg;
	const height = svg.viewBox.baseVal.height, drawn = svg.viewBox.baseVal.width;
	const info = svg.querySelector(".info"), hint = info.textContent, heading = svg.querySelector(".heading");
	const key = svg.querySelector(".keys");
	const groups = Array.from(svg.querySelectorAll(".f"));
	if (!groups.length)
		return;
	const papers = svg.querySelectorAll(".paper"), headHeight = alone ? papers[1].height.baseVal.value : 0;
	const infoTop = info.y.baseVal[0].value, infoRow = 15;
	const margin = groups[0].querySelector("rect").x.baseVal.value;
	const frames = groups.map(read);
	const root = frames[0], row = root.box.height.baseVal.value;
	for (const frame of frames)
		frame.depth = Math.abs(Math.round((frame.y - root.y) / row));
	const icicle = frames.length > 1 && frames[frames.length - 1].y > root.y;
	let width = drawn, zoomed = root, current = null, infoLines = 1;

	function read(group) {
		const box = group.querySelector("rect"), title = group.querySelector("title").textContent;
		const lines = title.split("\n");
		return {
			group, box, title, text: group.querySelector("text"), name: lines[0],
			says: lines[0] + "  \u2014  " + lines.slice(1).join("; "),
			x: (box.x.baseVal.value - margin) / (drawn - 2 * margin),
			width: box.width.baseVal.value / (drawn - 2 * margin), y: box.y.baseVal.value, hit: false,
		};
	}

	function make(space, name, parent, attributes) {
		const element = document.createElementNS(space, name);
		for (const key in attributes)
			element.setAttribute(key, attributes[key]);
		return parent.appendChild(element);
	}

	const holder = make(SVG, "foreignObject", svg, { y: 2, height: 30 });
	const controls = make(HTML, "div", holder, { class: "controls" });
	const matched = make(HTML, "output", controls, {});
	const reset = make(HTML, "button", controls, { type: "button", hidden: "" });
	reset.textContent = "Reset zoom";
	const search = make(HTML, "input", controls, {
		type: "search", placeholder: "Search (Ctrl-F)", "aria-label": "Search functions", spellcheck: "false", autocomplete: "off",
	});

	// The width of a character of the fixed-width font that this browser took.
	const probe = make(SVG, "text", root.group, {});
	probe.textContent = "M".repeat(40);
	const character = probe.getComputedTextLength() / 40 || 7.23;
	probe.remove();

	function write(frame, x, room) {
		const characters = Math.floor((room - 2 * padding) / character);
		if (characters < 3) {
			if (frame.text)
				frame.text.textContent = "";
			return;
		}
		if (!frame.text)
			frame.text = make(SVG, "text", frame.group, { y: frame.y + row - 5 });
		frame.text.setAttribute("x", x + padding);
		frame.text.textContent = frame.name.length <= characters ? frame.name : frame.name.slice(0, characters - 1) + "\u2026";
	}

	function place() {
		const inner = width - 2 * margin, from = zoomed.x, to = zoomed.x + zoomed.width;
		for (const frame of frames) {
			const end = frame.x + frame.width;
			const above = frame.depth < zoomed.depth && frame.x <= from + near && end >= to - near;
			const inside = frame === zoomed || (frame.depth > zoomed.depth && frame.x >= from - near && end <= to + near);
			frame.shown = above || inside;
			frame.group.style.display = frame.shown ? "" : "none";
			if (!frame.shown)
				continue;
			frame.group.classList.toggle("above", above);
			const x = margin + (above ? 0 : (frame.x - from) / zoomed.width * inner);
			const room = above ? inner : frame.width / zoomed.width * inner;
			frame.group.classList.toggle("thin", room < thin);
			frame.box.setAttribute("x", x.toFixed(2));
			frame.box.setAttribute("width", Math.max(room, .5).toFixed(2));
			write(frame, x, room);
		}
		reset.hidden = zoomed === root;
	}

	function fit() {
		const wanted = Math.round(alone ? svg.clientWidth || window.innerWidth : svg.parentNode.clientWidth) || drawn;
		width = Math.max(wanted, 240);
		// Where the words need several lines, the picture gets higher at its top.
		infoLines = wrap(hint, Infinity).length;
		const more = (infoLines - 1) * infoRow;
		svg.setAttribute("viewBox", `0 ${-more} ${width} ${height + more}`);
		svg.setAttribute("width", width);
		svg.style.width = width + "px";
		svg.style.height = height + more + "px";
		holder.setAttribute("y", 2 - more);
		for (const paper of papers)
			paper.setAttribute("y", -more);
		if (alone)
			papers[1].setAttribute("height", headHeight + more);
		tell(current);
		svg.style.minWidth = "0";
		const room = Math.min(width - 2 * margin, 400);
		holder.setAttribute("x", width - margin - room);
		holder.setAttribute("width", room);
		if (heading)
			heading.style.display = width < 620 ? "none" : "";
		if (key)
			key.style.display = width < 620 ? "none" : "";
		place();
	}

	function zoom(frame) {
		zoomed = frame;
		place();
	}

	function fits(text) {
		info.textContent = text;
		return info.getComputedTextLength() <= width - 2 * margin;
	}

	// The words in lines that fit, the last of so many excepted.
	function wrap(text, most) {
		const words = text.split(" "), lines = [words[0]];
		for (let i = 1; i < words.length; i++) {
			const last = lines.length - 1, longer = `${lines[last]} ${words[i]}`;
			if (lines.length === most)
				return lines.slice(0, last).concat(lines[last] + " " + words.slice(i).join(" "));
			if (fits(longer))
				lines[last] = longer;
			else
				lines.push(words[i]);
		}
		return lines;
	}

	function shorten(text) {
		let from = 0, to = text.length;
		while (from < to) {
			const middle = (from + to + 1) >> 1;
			if (fits(`${text.slice(0, middle)}\u2026`))
				from = middle;
			else
				to = middle - 1;
		}
		return `${text.slice(0, from)}\u2026`;
	}

	// No more lines than there is room for; the last one then ends with dots.
	function tell(frame) {
		const lines = wrap(frame ? frame.says : hint, infoLines);
		const last = lines.length - 1;
		if (!fits(lines[last]))
			lines[last] = shorten(lines[last]);
		info.textContent = "";
		for (const [index, line] of lines.entries())
			make(SVG, "tspan", info, { x: margin, y: infoTop - (infoLines - 1 - index) * infoRow }).textContent = line;
	}

	function select(frame) {
		if (!frame)
			return;
		if (current)
			current.group.classList.remove("current");
		current = frame;
		current.group.classList.add("current");
		tell(current);
		current.box.scrollIntoView({ block: "nearest" });
	}

	function find(term) {
		const wanted = term.trim().toLowerCase();
		const hits = frames.filter((frame) => {
			const hit = wanted !== "" && frame !== root && frame.name.toLowerCase().includes(wanted);
			if (hit !== frame.hit)
				frame.group.classList.toggle("hit", frame.hit = hit);
			return hit;
		});
		// Of matches above each other the widest one counts.
		let end = 0, sum = 0;
		for (const frame of hits.sort((a, b) => a.x - b.x || a.depth - b.depth)) {
			if (frame.x < end - near)
				continue;
			sum += frame.width;
			end = frame.x + frame.width;
		}
		matched.textContent = wanted === "" ? "" : hits.length ? `${(sum * 100).toFixed(1)} % matched` : "no match";
	}

	function beside(frame, step) {
		const same = frames.filter((other) => other.shown && other.depth === frame.depth);
		return same[same.indexOf(frame) + step];
	}

	function move(key) {
		const frame = current && current.shown ? current : zoomed;
		const toward = key === "ArrowLeft" || key === "ArrowRight" ? 0 : (key === "ArrowDown") === icicle ? 1 : -1;
		if (!current || !current.shown)
			return select(zoomed);
		if (!toward)
			return select(beside(frame, key === "ArrowRight" ? 1 : -1));
		return select(frames.find((other) => other.shown && other.depth === frame.depth + toward &&
			(toward > 0 ? other.x >= frame.x - near && other.x + other.width <= frame.x + frame.width + near :
				other.x <= frame.x + near && other.x + other.width >= frame.x + frame.width - near)));
	}

	const of = (event) => frames.find((frame) => frame.group === event.target.closest(".f"));
	svg.addEventListener("click", (event) => {
		const frame = of(event);
		if (frame)
			zoom(frame);
	});
	svg.addEventListener("mouseover", (event) => tell(of(event)));
	svg.addEventListener("mouseleave", () => tell(null));
	reset.addEventListener("click", () => zoom(root));
	search.addEventListener("input", () => find(search.value));
	document.addEventListener("keydown", (event) => {
		const here = alone || svg.matches(":hover") || svg.contains(document.activeElement);
		if (!here)
			return;
		if ((event.ctrlKey || event.metaKey) && event.key === "f" && document.activeElement !== search) {
			search.focus();
			search.select();
		} else if (event.key === "Escape") {
			if (search.value === "")
				zoom(root);
			search.value = "";
			find("");
		} else if (document.activeElement === search || event.ctrlKey || event.metaKey || event.altKey) {
			return;
		} else if (/^Arrow/.test(event.key) && (alone || document.activeElement === svg)) {
			move(event.key);
		} else if (event.key === "Enter" && current && document.activeElement === svg) {
			zoom(current);
		} else {
			return;
		}
		event.preventDefault();
	});
	svg.setAttribute("tabindex", "0");
	if (alone) {
		window.addEventListener("resize", fit);
		// A tall picture is read from its root: words and controls come along.
		const head = svg.querySelector(".head");
		head.appendChild(holder);
		window.addEventListener("scroll", () => head.setAttribute("transform", `translate(0 ${window.scrollY})`));
	} else
		new ResizeObserver(fit).observe(svg.parentNode);
	fit();
	if (alone && !icicle)
		window.scrollTo(0, height);
}
