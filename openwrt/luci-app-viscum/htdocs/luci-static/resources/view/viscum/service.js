// SPDX-License-Identifier: GPL-2.0-only
// All about one service: ?name=NAME, or the one that is chosen.
'use strict';
'require view';
'require poll';
'require viscum.api as api';
'require viscum.parts as parts';
'require viscum.words as words';

const POLL_SECONDS = 3;
const LOG_LINES = 200;

// What a button does: the verb, what is asked before, and in which colour.
function actions(service) {
	const resume = {
		verb: 'resume', label: _('Resume'), tone: 'cbi-button-positive', title: _('Serve %s here again?'),
		says: [ _('New flows are served here as soon as the service is healthy.') ]
	};
	const drain = {
		verb: 'drain', label: _('Drain'), tone: 'cbi-button-action', title: _('Drain %s?'),
		says: [ _('New flows go to the cloud. Open ones are served here until they end.') ]
	};
	const confirm = {
		verb: 'confirm', label: _('Confirm'), tone: 'cbi-button-positive', title: _('Keep this version of %s?'),
		says: [ _('Without a confirmation this version is taken back when its time is over.') ]
	};
	return (service.confirm_ms_left >= 0 ? [ confirm ] : []).concat([
		service.drained ? resume : drain,
		{
			verb: 'restart', label: _('Restart'), tone: 'cbi-button-action', title: _('Restart %s?'),
			says: [ _('A new process takes the place of the old one. Open connections to the old one finish first.') ]
		},
		{
			verb: 'remove', label: _('Remove'), tone: 'cbi-button-negative', title: _('Remove %s?'),
			says: [ _('The service ends when its connections are done, after 20 seconds at the latest.'),
				_('The cloud answers from now on. Its file is taken off this router.') ]
		}
	]);
}

function counts(entries) {
	return (entries || []).filter((entry) => entry.packets > 0);
}

function draw_counts(entries) {
	return parts.list('ul', entries.map((entry) =>
		_('%s packets: %s').format(words.count(entry.packets), words.reason(entry.reason))));
}

function draw_claim(service, claim) {
	const cloud = counts(claim.cloud);
	const remark = words.remark(claim);
	return E('div', { 'class': 'cbi-section-node' }, [
		E('h4', { 'style': parts.WRAP }, [ claim.claim, ' ', parts.badge(claim.admission) ]),
		parts.facts([
			[ _('Flows'), _('%s served here, %s given to the cloud').format(words.count(claim.flows), words.count(claim.flows_cloud)) ],
			[ _('From clients'), _('%s in %s packets').format(words.bytes(claim.bytes_in), words.count(claim.packets_in)) ],
			[ _('To clients'), _('%s in %s packets').format(words.bytes(claim.bytes_out), words.count(claim.packets_out)) ],
			[ _('Left to the cloud'), cloud.length > 0 ? draw_counts(cloud) : '' ],
			[ _('Remark'), remark ]
		])
	]);
}

function uses(service) {
	return [
		service.memory_bytes > 0 ? _('%s of memory').format(words.bytes(service.memory_bytes)) : '',
		service.pids > 0 ? _('processes: %d').format(service.pids) : '',
		service.cpu_ms > 0 ? _('%s of processor time').format(words.time(service.cpu_ms)) : ''
	].filter((text) => text !== '').join(', ');
}

function exceeded(service) {
	return [
		service.oom_kills > 0 ? _('processes killed, out of memory: %d').format(service.oom_kills) : '',
		service.forks_refused > 0 ? _('processes refused: %d').format(service.forks_refused) : '',
		service.log_dropped > 0 ? _('%s of output not logged').format(words.bytes(service.log_dropped)) : ''
	].filter((text) => text !== '').join(', ');
}

function draw_service(service) {
	if (service.error)
		return [ parts.failure(service) ];
	const why = words.why_not(service);
	const egress = counts(service.egress_counts);
	return [
		E('p', {}, [ parts.badge(service.state), ' ', parts.badge(service.health), ' ', parts.badge(service.admission) ]),
		why ? parts.alert('warning', _('Why the cloud answers'), [ parts.paragraph(why) ]) : '',
		service.confirm_ms_left >= 0 ? parts.alert('warning', _('Waits to be confirmed'),
			[ parts.paragraph(_('This version is taken back in %s.').format(words.time(service.confirm_ms_left))) ]) : '',
		service.updating ? parts.alert('notice', '', [ parts.paragraph(_('The version before finishes its connections.')) ]) : '',
		parts.facts([
			[ _('Runs for'), service.up_ms > 0 ? words.time(service.up_ms) : _('does not run') ],
			[ _('Restarts'), String(service.restarts || 0) ],
			[ _('Ended last'), service.last_exit || '' ],
			[ _('Uses'), uses(service) ],
			[ _('Exceeded'), exceeded(service) ],
			[ _('Limits'), (service.limits || []).join(', ') ],
			[ _('Runs as'), service.user || '' ],
			[ _('Sandbox opened for'), (service.allows || []).join(', ') ],
			[ _('Image'), service.image || '' ],
			[ _('May begin'), service.egress && service.egress != 'none' ? service.egress : _('nothing: it only answers') ],
			[ _('Began itself'), egress.length > 0 ? draw_counts(egress) : '' ],
			[ _('Network namespace'), service.namespace || '' ],
			[ _('Digest of its file'), service.digest || '' ]
		]),
		E('h3', {}, [ _('What it takes over') ])
	].concat((service.claims || []).map((claim) => draw_claim(service, claim))).filter((node) => node !== '');
}

function draw_audit(answer) {
	if (answer.error)
		return [ parts.failure(answer) ];
	const open = (answer.items || []).filter((item) => !item.ok);
	return [
		E('p', {}, [ _('%s of 10, %s').format((answer.score / 10).toFixed(1), answer.word) ]),
		open.length > 0 ? parts.list('ul', open.map((item) => item.text)) : parts.paragraph(_('Nothing is exposed.'))
	];
}

// The lines of a log. What was scrolled to its end stays there.
function redraw_log(log, answer) {
	const text = answer.error ? answer.error.message
		: (answer.lines || []).map((line) => (line.time ? line.time + '  ' : '') + line.text).join('\n');
	if (log.textContent == text)
		return;
	const at_end = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
	log.textContent = text;
	if (at_end)
		log.scrollTop = log.scrollHeight;
}

// The page: the service's name, its nodes, whether an answer is waited for, and the polling.

function draw_buttons(page, service) {
	if (L.hasViewPermission() === false || service.error)
		return [];
	return actions(service).reduce((all, action) => all.concat(E('button', {
		'class': 'btn cbi-button ' + action.tone, [parts.KEY]: action.verb, 'disabled': page.busy ? '' : null,
		'click': () => run(page, action)
	}, [ action.label ]), document.createTextNode(' ')), []);
}

function redraw(page, service) {
	parts.redraw(page.node, draw_service(service));
	parts.redraw(page.buttons, draw_buttons(page, service));
}

function refresh(page) {
	return api.service(page.name).then((service) => page.gone || redraw(page, service));
}

function read_log(page) {
	return api.logs(page.name, LOG_LINES).then((answer) => page.gone || redraw_log(page.log, answer));
}

// Nothing is left to look at.
function leave(page) {
	page.gone = true;
	poll.remove(page.update);
	parts.redraw(page.buttons, []);
	parts.redraw(page.node, [ E('p', {}, [ parts.link('overview', _('To the overview')) ]) ]);
}

function run(page, action) {
	return parts.confirm(action.title.format(page.name), action.says, action.label, action.tone).then((decided) => {
		if (!decided)
			return;
		page.busy = true;
		page.buttons.querySelectorAll('button').forEach((button) => { button.disabled = true; });
		parts.redraw(page.answer, [ E('p', { 'class': 'spinning' }, [ _('Waiting for an answer…') ]) ]);
		return api.change(action.verb, page.name).then((answer) => {
			page.busy = false;
			parts.redraw(page.answer, [ parts.answer(answer) ]);
			return action.verb == 'remove' && !answer.error ? leave(page) : refresh(page);
		});
	});
}

function make_nodes(name, service) {
	const page = { name: name, busy: false, gone: false };
	page.node = E('div', { 'id': 'viscum-service' }, draw_service(service));
	page.answer = E('div', { 'id': 'viscum-answer', 'aria-live': 'polite' }, []);
	page.buttons = E('div', { 'class': 'right', 'style': 'margin-bottom:1em' }, draw_buttons(page, service));
	page.log = E('pre', {
		'id': 'viscum-log', 'tabindex': '0', 'role': 'log', 'aria-label': _('Log of %s').format(name), 'aria-live': 'off',
		'style': 'max-height:24em;overflow:auto;white-space:pre-wrap;overflow-wrap:anywhere'
	}, []);
	page.follow = E('input', { 'type': 'checkbox', 'id': 'viscum-follow', 'checked': '' }, []);
	page.audit = E('div', {}, []);
	page.update = () => Promise.all([ refresh(page), page.follow.checked ? read_log(page) : null ]);
	return page;
}

function judge(page, event) {
	return event.target.open && api.audit(page.name).then((answer) => parts.redraw(page.audit, draw_audit(answer)));
}

function choose(names, name) {
	return E('nav', { 'aria-label': _('Services') }, [
		E('ul', { 'class': 'cbi-tabmenu' }, names.map((other) =>
			E('li', { 'class': other === name ? 'cbi-tab' : 'cbi-tab-disabled' }, [
				E('a', {
					'href': L.url('admin/services/viscum/service') + '?name=' + encodeURIComponent(other),
					'aria-current': other === name ? 'page' : null
				}, [ other ])
			])))
	]);
}

return view.extend({
	load: () => api.report(),

	render: function(report) {
		const title = E('h2', {}, [ _('Services') ]);
		if (report.error)
			return E('div', { 'class': 'cbi-map' }, [ title, parts.failure(report) ]);
		const services = report.services || [];
		if (services.length == 0)
			return E('div', { 'class': 'cbi-map' },
				[ title, parts.paragraph(_('There are no services.')), parts.link('deploy', _('Deploy a service')) ]);

		const asked = new URLSearchParams(window.location.search).get('name');
		const found = services.filter((service) => service.name === asked)[0];
		const service = found || services[0];
		const page = make_nodes(service.name, service);
		poll.add(page.update, POLL_SECONDS);
		read_log(page);
		return E('div', { 'class': 'cbi-map' }, [
			title,
			asked && !found ? parts.alert('warning', _('There is no service %s.').format(asked), []) : '',
			choose(services.map((one) => one.name), service.name),
			page.answer,
			E('div', { 'class': 'cbi-section' }, [ page.buttons, page.node ]),
			parts.section(_('Log'), [
				E('p', {}, [ E('label', { 'for': 'viscum-follow' }, [ page.follow, ' ', _('Follow') ]) ]),
				page.log
			]),
			E('details', { 'id': 'viscum-audit', 'class': 'cbi-section', 'toggle': (event) => judge(page, event) }, [
				E('summary', {}, [ _('What it can do, and how much that is') ]), page.audit
			])
		]);
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
