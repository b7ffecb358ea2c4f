// SPDX-License-Identifier: GPL-2.0-only
// Deploying a service file: check, see what would be done, deploy.
'use strict';
'require view';
'require poll';
'require viscum.api as api';
'require viscum.parts as parts';
'require viscum.words as words';

const POLL_SECONDS = 1;
// Seconds in which somebody has to confirm, on the page of the service.
const TRIALS = [
	[ '0', _('never: it stays') ],
	[ '120', _('after 2 minutes, unless it is confirmed') ],
	[ '600', _('after 10 minutes, unless it is confirmed') ]
];

// Where line and column (from 1) are in a text; its end, where they lie behind it.
function place(text, line, column) {
	const lines = text.split('\n');
	const before = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0);
	return Math.min(before + column - 1, text.length);
}

// Puts the cursor there and selects the rest of the line.
function show_place(editor, mistake) {
	const start = place(editor.value, mistake.line, mistake.column);
	const end = editor.value.indexOf('\n', start);
	editor.focus();
	editor.setSelectionRange(start, end < 0 ? editor.value.length : end);
	editor.scrollTop = editor.scrollHeight * Math.max(mistake.line - 4, 0) / editor.value.split('\n').length;
}

// A mistake or a warning beside the text: where, what, and the line itself with a mark below.
function draw_mistake(editor, mistake) {
	const line = mistake.line > 0 ? editor.value.split('\n')[mistake.line - 1] : undefined;
	return E('li', { 'style': 'margin-bottom:1em' }, [
		mistake.line > 0 ? E('button', {
			'class': 'btn cbi-button', 'title': _('Show it in the text'), 'click': () => show_place(editor, mistake)
		}, [ _('Line %d, column %d').format(mistake.line, mistake.column) ]) : '',
		E('div', { 'style': parts.WRAP }, [ mistake.what ]),
		mistake.hint ? E('div', { 'style': parts.WRAP }, [ E('em', {}, [ mistake.hint ]) ]) : '',
		line !== undefined ? E('pre', { 'aria-hidden': 'true', 'style': 'white-space:pre;overflow:auto;margin:.25em 0' },
			[ line.replace(/\t/g, ' ') + '\n' + ' '.repeat(Math.max(mistake.column - 1, 0)) + '^' ]) : ''
	]);
}

function draw_list(editor, id, mistakes) {
	return mistakes.length == 0 ? [] : [ E('ol', { 'id': id }, mistakes.map((mistake) => draw_mistake(editor, mistake))) ];
}

function draw_mistakes(editor, answer) {
	const mistakes = answer.error.diagnostics || [];
	const rest = { error: Object.assign({}, answer.error, { diagnostics: [] }), code: answer.code };
	return [ parts.failure(rest) ].concat(draw_list(editor, 'viscum-mistakes', mistakes));
}

function draw_steps(editor, checked, plan) {
	const steps = plan.details || [];
	const warnings = checked.warnings || [];
	return [
		parts.alert('success', _('The file is valid.'), [
			parts.paragraph(_('Service: %s').format((checked.services || []).join(', '))),
			checked.claims_checked === false
				? parts.paragraph(_('Whether it may take over its addresses is checked when it is deployed.')) : ''
		]),
		warnings.length > 0 ? parts.alert('warning', _('It will not do what it seems to say.'),
			draw_list(editor, 'viscum-warnings', warnings)) : '',
		E('h4', {}, [ _('What a deploy would do') ]),
		steps.length > 0 ? E('ol', { 'id': 'viscum-steps' }, steps.map((step) =>
			E('li', { 'style': parts.WRAP }, [ step ])))
			: parts.paragraph(plan.message || _('Nothing: this version is deployed already.'))
	];
}

function spinning(text) {
	return E('p', { 'class': 'spinning' }, [ text ]);
}

// The page: its nodes, and what was checked: the text that was found good, and the services in it.

function say(page, nodes) {
	parts.redraw(page.result, nodes.filter((node) => node !== ''));
}

// What was said is of another text.
function forget(page) {
	page.checked = null;
	page.deploy.disabled = true;
	say(page, []);
}

function set_busy(page, busy) {
	page.check.disabled = page.editor.readOnly = busy;
	page.deploy.disabled = busy || page.checked === null;
}

function examine(page) {
	const text = page.editor.value;
	forget(page);
	set_busy(page, true);
	say(page, [ spinning(_('Checking…')) ]);
	return api.validate(text).then((valid) => {
		if (valid.error)
			return say(page, draw_mistakes(page.editor, valid));
		return api.plan(text).then((plan) => {
			if (plan.error)
				return say(page, draw_mistakes(page.editor, plan));
			page.checked = { text: text, services: valid.services || [] };
			say(page, draw_steps(page.editor, valid, plan));
		});
	}).finally(() => set_busy(page, false));
}

// How far a deploy is, for as long as the page has no answer.
function watch(page, name) {
	return () => api.service(name).then((service) => page.progress.hasChildNodes() && parts.redraw(page.progress, [
		spinning(service.error ? _('Deploying…') : _('Deploying: %s is %s, its health is %s.')
			.format(name, words.word(service.state), words.word(service.health)))
	]));
}

function carry_out(page) {
	const name = page.checked.services[0];
	const step = watch(page, name);
	set_busy(page, true);
	parts.redraw(page.progress, [ spinning(_('Deploying…')) ]);
	poll.add(step, POLL_SECONDS);
	return api.deploy(page.checked.text, Number(page.trial.value)).then((answer) => {
		poll.remove(step);
		parts.redraw(page.progress, []);
		page.checked = null;
		const mistakes = answer.error && (answer.error.diagnostics || []).length > 0;
		say(page, (mistakes ? draw_mistakes(page.editor, answer) : [ parts.answer(answer) ])
			.concat(E('p', {}, [ parts.link('service', _('See what became of %s').format(name), name) ])));
	}).finally(() => set_busy(page, false));
}

function read_file(page, event) {
	const file = event.target.files[0];
	return file && file.text().then((text) => {
		page.editor.value = text;
		forget(page);
	});
}

function make_nodes() {
	const page = { checked: null };
	page.editor = E('textarea', {
		'id': 'viscum-text', 'class': 'cbi-input-textarea', 'rows': '22', 'wrap': 'off', 'spellcheck': 'false',
		'autocapitalize': 'off', 'autocomplete': 'off', 'aria-describedby': 'viscum-result',
		'style': 'width:100%;font-family:monospace;box-sizing:border-box', 'input': () => forget(page)
	}, []);
	page.result = E('div', { 'id': 'viscum-result', 'aria-live': 'polite' }, []);
	page.progress = E('div', { 'id': 'viscum-progress', 'role': 'status' }, []);
	page.trial = E('select', { 'id': 'viscum-trial', 'class': 'cbi-input-select' }, TRIALS.map((trial) =>
		E('option', { 'value': trial[0] }, [ trial[1] ])));
	page.check = E('button', { 'class': 'btn cbi-button cbi-button-action', 'click': () => examine(page) }, [ _('Check') ]);
	page.deploy = E('button', {
		'class': 'btn cbi-button cbi-button-positive important', 'disabled': '', 'click': () => carry_out(page)
	}, [ _('Deploy') ]);
	return page;
}

return view.extend({
	render: function() {
		const page = make_nodes();
		const read_only = L.hasViewPermission() === false;
		return E('div', { 'class': 'cbi-map' }, [
			E('h2', {}, [ _('Deploy') ]),
			E('div', { 'class': 'cbi-map-descr' },
				[ _('Make a service run as its file says. The version before stays if the new one does not get healthy.') ]),
			read_only ? parts.alert('notice', _('You may look, but not deploy.'), []) : '',
			E('div', { 'class': 'cbi-section' }, [
				E('p', {}, [
					E('label', { 'for': 'viscum-file' }, [ _('Service file') ]), ' ',
					E('input', {
						'id': 'viscum-file', 'type': 'file', 'accept': '.yaml,.yml', 'style': 'max-width:100%',
						'change': (event) => read_file(page, event)
					})
				]),
				E('div', { 'style': 'display:flex;flex-wrap:wrap;gap:1em' }, [
					E('div', { 'style': 'flex:2 1 20em;min-width:0' }, [
						E('label', { 'for': 'viscum-text' }, [ _('Or its text') ]), page.editor
					]),
					E('div', { 'style': 'flex:1 1 16em;min-width:0' }, [ page.result, page.progress ])
				]),
				E('p', {}, [ E('label', { 'for': 'viscum-trial' }, [ _('Taken back') ]), ' ', page.trial ])
			]),
			read_only ? '' : E('div', { 'class': 'cbi-page-actions' }, [ page.check, ' ', page.deploy ])
		]);
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
