// SPDX-License-Identifier: GPL-2.0-only
// What the pages are put together from. Texts come from services and their files: they are members of lists of children,
// which LuCI makes text nodes of. A bare string in the place of such a list would be read as HTML.
'use strict';
'require baseclass';
'require dom';
'require ui';
'require viscum.words as words';

// A key by which an element is found again after its neighbours were drawn anew.
const KEY = 'data-viscum-key';

// A long word of a service's must not make a page wider than a phone.
const WRAP = 'overflow-wrap:anywhere';

function paragraph(text) {
	return E('p', { 'style': WRAP }, [ text ]);
}

function list(kind, texts) {
	return E(kind, { 'style': WRAP }, texts.map((text) => E('li', {}, [ text ])));
}

return baseclass.extend({
	KEY: KEY,
	WRAP: WRAP,
	paragraph: paragraph,
	list: list,

	link: (page, text, name) => E('a', {
		'href': L.url('admin/services/viscum', page) + (name ? '?name=' + encodeURIComponent(name) : ''),
		[KEY]: 'link ' + page + ' ' + text
	}, [ text ]),

	badge: (name) => E('span', { 'class': ('label ' + words.tone(name)).trim(), 'style': 'margin-left:0' },
		[ words.word(name) ]),

	section: (title, children) => E('div', { 'class': 'cbi-section' }, [ E('h3', {}, [ title ]) ].concat(children)),

	// facts: [name, text or node] each; those without a text are left out.
	facts: (facts) => E('table', { 'class': 'table' }, facts.filter((fact) => fact[1] !== '').map((fact) =>
		E('tr', { 'class': 'tr' }, [
			E('td', { 'class': 'td left', 'width': '33%' }, [ fact[0] ]),
			E('td', { 'class': 'td left', 'style': WRAP }, [].concat(fact[1]))
		]))),

	// A row is a list of cells, a cell a text, a node or a list of both. On narrow screens LuCI's themes show the titles
	// beside the cells.
	table: (titles, rows, otherwise) => E('table', { 'class': 'table cbi-section-table' }, [
		E('tr', { 'class': 'tr table-titles' }, titles.map((title) => E('th', { 'class': 'th', 'scope': 'col' }, [ title ])))
	].concat(rows.map((row, index) => E('tr', { 'class': 'tr cbi-rowstyle-%d'.format(1 + index % 2) },
		row.map((cell, column) => E('td', {
			'class': 'td left', 'data-title': titles[column], 'style': WRAP
		}, [].concat(cell))))), rows.length > 0 ? [] : [
		E('tr', { 'class': 'tr placeholder' }, [ E('td', { 'class': 'td' }, [ E('em', {}, [ otherwise ]) ]) ])
	])),

	// tone: success, notice, warning or danger.
	alert: (tone, title, children) => E('div', { 'class': 'alert-message ' + tone, 'role': tone == 'danger' ? 'alert' : 'status' },
		(title ? [ E('h4', { 'style': WRAP }, [ title ]) ] : []).concat(children || [])),

	// What viscumctl would say of a failure: its reasons and what to do next.
	failure: function(answer) {
		const error = answer.error;
		return this.alert('danger', error.message, []
			.concat((error.details || []).length > 0 ? list('ul', error.details) : [])
			.concat(error.hint ? paragraph(error.hint) : []));
	},

	// An answer of a verb that changes something, good or bad, with its hint.
	answer: function(answer) {
		if (answer.error)
			return this.failure(answer);
		const lines = String(answer.message || _('Done.')).split('\n');
		return this.alert(answer.changed === false ? 'notice' : 'success', lines[0], lines.slice(1).map(paragraph)
			.concat((answer.details || []).length > 0 ? list('ul', answer.details) : [])
			.concat(answer.hint ? paragraph(answer.hint) : []));
	},

	// Puts nodes in the place of what is in there, unless nothing changes: then a selection stays as it is, and a screen
	// reader at its place. The focus goes to the element of the same key.
	redraw: function(node, children) {
		const was = Array.from(node.childNodes);
		if (was.length == children.length && was.every((child, index) => child.isEqualNode(children[index])))
			return;
		const active = node.contains(document.activeElement) ? document.activeElement.getAttribute(KEY) : null;
		dom.content(node, children);
		if (active === null)
			return;
		for (let element of node.querySelectorAll('[' + KEY + ']'))
			if (element.getAttribute(KEY) == active)
				element.focus();
	},

	// Asks before something is done. The button that does nothing comes first: it has the focus, and Escape presses it.
	confirm: function(title, sentences, action, tone) {
		const before = document.activeElement;
		return new Promise((decide) => {
			const close = (decision) => {
				ui.hideModal();
				if (before && before.isConnected)
					before.focus();
				decide(decision);
			};
			const stay = E('button', { 'class': 'btn cbi-button', 'click': () => close(false) }, [ _('Cancel') ]);
			ui.showModal([ title ], sentences.map(paragraph).concat(E('div', { 'class': 'right' }, [
				stay, ' ',
				E('button', { 'class': 'btn cbi-button %s important'.format(tone), 'click': () => close(true) }, [ action ])
			])));
			stay.focus();
		});
	}
});
