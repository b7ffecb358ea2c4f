// SPDX-License-Identifier: GPL-2.0-only
// What is served on this router, and why not.
'use strict';
'require view';
'require poll';
'require viscum.api as api';
'require viscum.parts as parts';
'require viscum.words as words';

const POLL_SECONDS = 5;
const NO_DAEMON = 3;

// How much of what was asked of a service was served here.
function share(report, service) {
	const flows = words.sum(service.claims, 'flows');
	const cloud = words.sum(service.claims, 'flows_cloud');
	const bytes = words.sum(service.claims, 'bytes_in') + words.sum(service.claims, 'bytes_out');
	if (report.grade == 'classic')
		return _('not counted in this grade; %s served here').format(words.bytes(bytes));
	const text = _('%s here, %s to the cloud').format(words.count(flows), words.count(cloud));
	if (flows + cloud == 0)
		return text;
	return E('div', {}, [
		text,
		E('div', { 'class': 'cbi-progressbar', 'aria-hidden': 'true', 'style': 'margin-top:.25em;min-width:0' }, [
			E('div', { 'style': 'width:%d%%'.format(100 * flows / (flows + cloud)) }, [])
		])
	]);
}

function service_row(report, service) {
	const why = words.why_not(service);
	return [
		[ parts.link('service', service.name, service.name) ],
		[ parts.badge(service.state) ]
			.concat(why ? E('div', {}, [ why ]) : [])
			.concat(service.updating ? E('div', {}, [ _('updating: the version before finishes its connections') ]) : [])
			.concat(service.confirm_ms_left >= 0 ? E('div', {}, [ _('waits to be confirmed') ]) : []),
		[ parts.badge(service.health) ],
		[ parts.badge(service.admission) ],
		[ share(report, service) ],
		service.memory_bytes > 0 ? words.bytes(service.memory_bytes) : '-',
		words.count(service.restarts || 0)
	];
}

function device_row(device) {
	// Without services there is nothing to look for in its packets.
	const tone = device.attached ? 'success' : device.problem ? 'warning' : '';
	return [
		device.device,
		device.bridge || '-',
		[ E('span', { 'class': 'label ' + tone, 'style': 'margin-left:0' },
			[ device.attached ? _('looked at') : _('not looked at') ]) ],
		device.problem || '-'
	];
}

function draw_report(report) {
	if (report.error)
		return [
			parts.failure(report),
			parts.paragraph(report.code == NO_DAEMON
				? _('On this router: /etc/init.d/viscum start, if it is not turned off in the settings. The log has the reason: logread -e viscum')
				: _('Nothing can be said of the services. What is wrong stands below.'))
		];
	const services = report.services || [];
	return [
		parts.section(_('Daemon'), [ parts.facts([
			[ _('Version'), report.version || '' ],
			[ _('Grade'), report.grade || '' ],
			[ _('Why not a better one'), report.grade_reason || '' ],
			[ _('Lease'), words.lease(report) ]
		]) ]),
		parts.section(_('Services'), [
			parts.table([ _('Service'), _('State'), _('Health'), _('Admission'), _('Flows'), _('Memory'), _('Restarts') ],
				services.map((service) => service_row(report, service)), _('There are no services.')),
			E('p', {}, [ parts.link('deploy', _('Deploy a service')) ])
		]),
		parts.section(_('LAN devices'), [
			parts.table([ _('Device'), _('Bridge'), _('Packets'), _('Remark') ], (report.lan || []).map(device_row),
				_('No LAN device: nothing is served. See the settings.'))
		])
	];
}

// A finding, with the command that mends it.
function draw_finding(finding) {
	const tone = finding.severity == 'problem' ? 'danger' : 'warning';
	return parts.alert(tone, finding.severity == 'problem' ? _('Problem') : _('Warning'), [
		parts.paragraph(finding.what),
		finding.mend ? E('pre', { 'tabindex': '0', 'style': parts.WRAP }, [ finding.mend ]) : ''
	]);
}

function draw_findings(answer) {
	if (answer.error)
		return [ parts.failure(answer) ];
	const all = answer.findings || [];
	const bad = all.filter((finding) => finding.severity != 'good');
	const good = all.filter((finding) => finding.severity == 'good');
	return (bad.length > 0 ? bad.map(draw_finding) : [ parts.alert('success', _('Nothing is in the way.'), []) ])
		.concat(good.length == 0 ? [] : E('details', {}, [
			E('summary', {}, [ _('What is as it should be: %d checks').format(good.length) ]),
			parts.list('ul', good.map((finding) => finding.what))
		]));
}

return view.extend({
	load: () => api.report(),

	render: function(report) {
		const state = E('div', { 'id': 'viscum-report' }, draw_report(report));
		const findings = E('div', { 'id': 'viscum-findings', 'aria-live': 'polite' }, []);
		const look = E('button', { 'class': 'btn cbi-button cbi-button-action', 'click': () => examine() }, [ _('Look again') ]);

		const examine = () => {
			look.disabled = true;
			parts.redraw(findings, [ E('p', { 'class': 'spinning' }, [ _('Looking…') ]) ]);
			return api.doctor().then((answer) => {
				look.disabled = false;
				parts.redraw(findings, draw_findings(answer));
			});
		};

		poll.add(() => api.report().then((fresh) => parts.redraw(state, draw_report(fresh))), POLL_SECONDS);
		examine();
		return E('div', { 'class': 'cbi-map' }, [
			E('h2', {}, [ _('Viscum') ]),
			E('div', { 'class': 'cbi-map-descr' },
				[ _('Services of the cloud that also run on this router. When one cannot serve, the cloud answers.') ]),
			state,
			parts.section(_('Findings'), [ findings, E('div', { 'class': 'right' }, [ look ]) ])
		]);
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
