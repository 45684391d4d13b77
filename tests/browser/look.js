// SPDX-License-Identifier: MIT
// What is to be seen on the page: every piece of text with its place and colours, and the pictures.
const box = r => ({left: r.left, top: r.top, right: r.right, bottom: r.bottom});
const texts = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node; (node = walk.nextNode());) {
	const range = document.createRange();
	range.selectNodeContents(node);
	const rects = [...range.getClientRects()].filter(r => r.width && r.height);
	if (!node.data.trim() || !rects.length)
		continue;
	let opacity = 1, back = null;
	for (let e = node.parentElement; e; e = e.parentElement) {
		const style = getComputedStyle(e);
		opacity *= style.opacity;
		if (!back && !style.backgroundColor.endsWith(", 0)"))
			back = style.backgroundColor;
	}
	const style = getComputedStyle(node.parentElement);
	texts.push({text: node.data.trim(), color: style.color, back, opacity,
		size: parseFloat(style.fontSize), boxes: rects.map(box)});
}
const shapes = svg => [...svg.querySelectorAll("rect")].map(r => {
	const b = r.getBoundingClientRect();
	const seen = document.elementFromPoint(b.left + b.width / 2, b.top + b.height / 2);
	return {kind: r.getAttribute("class"), fill: getComputedStyle(r).fill, seen: seen === r, ...box(b)};
});
scrollTo(0, 0);
const rows = [...document.querySelectorAll(".time > span:not(:empty)")];
return {
	texts,
	view: document.documentElement.clientWidth,
	wide: document.documentElement.scrollWidth,
	bars: [...document.querySelectorAll("svg.bar")].map(svg =>
		({...box(svg.getBoundingClientRect()), shapes: shapes(svg)})),
	rows: rows.map(span => ({name: span.innerText, shapes: shapes(span.nextElementSibling),
		...box(span.nextElementSibling.getBoundingClientRect())})),
	legends: [...document.querySelectorAll(".legend")].map(list =>
		[...list.children].map(li => ({text: li.innerText.trim(),
			color: getComputedStyle(li.querySelector("i")).backgroundColor,
			width: li.querySelector("i").getBoundingClientRect().width}))),
	sections: [...document.querySelectorAll("section")].map(section => ({
		heading: section.querySelector("h2").innerText,
		wall: section.querySelector("h3").innerText,
		text: section.innerText,
		tables: Object.fromEntries([...section.querySelectorAll("table")].map(table =>
			[table.previousElementSibling.innerText,
			 [...table.rows].map(row => [...row.cells].map(cell => cell.innerText))])),
	})),
};
