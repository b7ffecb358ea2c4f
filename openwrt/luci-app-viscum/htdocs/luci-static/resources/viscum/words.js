// SPDX-License-Identifier: GPL-2.0-only
// Numbers and names of reports, in words. Pure: texts in, texts out.
'use strict';
'require baseclass';

// Powers of 1000, two digits at least, as viscumctl writes them.
function scaled(number, units) {
	let unit = 0;
	while (number >= 1000 && unit + 1 < units.length) {
		number /= 1000;
		++unit;
	}
	const digits = unit > 0 && number < 10 ? 1 : 0;
	return number.toFixed(digits) + units[unit];
}

// Why new flows, or packets of flows, of a claim were left to the cloud.
const REASONS = {
	'no-listener': _('nothing listened on that address and port at that instant'),
	'draining': _('the service was drained, unhealthy or ended, or this version goes'),
	'not-admitted': _('the service was not ready: it was never healthy yet, or has ended'),
	'lease-expired': _('viscumd had not renewed the lease'),
	'cloud-flow': _('the connection began with the cloud and stays there')
};

// What became of packets of flows that a service began itself.
const EGRESS = {
	'out': _('sent by the service'),
	'in': _('received by the service'),
	'not-allowed': _('dropped: nothing in its file allows the destination'),
	'private': _('dropped: to the router, one of its networks or a private address'),
	'no-route': _('dropped: the router has no default route'),
	'not-owned': _('dropped: not from the address that is the service\'s own'),
	'too-many': _('dropped: too many new flows at once'),
	'unasked': _('dropped: nothing that the service had asked for')
};

const WORDS = {
	down: _('down'), preparing: _('preparing'), starting: _('starting'), up: _('up'), stopping: _('stopping'),
	backoff: _('waits to start again'), failed: _('failed'),
	healthy: _('healthy'), unhealthy: _('unhealthy'), unknown: _('not known yet'),
	serve: _('served here'), drain: _('drained'), off: _('off')
};

const TONES = {
	up: 'success', healthy: 'success', serve: 'success',
	failed: 'warning', backoff: 'warning', unhealthy: 'warning', off: 'warning',
	drain: 'notice', starting: 'notice', preparing: 'notice', stopping: 'notice'
};

return baseclass.extend({
	bytes: (number) => scaled(number, [ ' B', ' kB', ' MB', ' GB', ' TB', ' PB' ]),
	count: (number) => number < 10000 ? String(number) : scaled(number, [ '', 'k', 'M', 'G', 'T', 'P' ]),

	// The two largest units of so many milliseconds.
	time: function(milliseconds) {
		const seconds = Math.floor(Math.max(milliseconds, 0) / 1000);
		if (seconds == 0)
			return '%d ms'.format(Math.max(milliseconds, 0));
		if (seconds < 60)
			return '%d s'.format(seconds);
		if (seconds < 3600)
			return '%d min %d s'.format(seconds / 60, seconds % 60);
		if (seconds < 86400)
			return '%d h %d min'.format(seconds / 3600, seconds % 3600 / 60);
		return '%d d %d h'.format(seconds / 86400, seconds % 86400 / 3600);
	},

	// Of a state, a health or an admission. A later viscumd may have others.
	word: (name) => WORDS[name] || name,
	tone: (name) => TONES[name] || '',
	reason: (name) => REASONS[name] || EGRESS[name] || name,

	sum: (claims, field) => (claims || []).reduce((sum, claim) => sum + (claim[field] || 0), 0),

	lease: function(report) {
		if (report.lease_ms_left > 0)
			return _('%s left').format(this.time(report.lease_ms_left));
		if (report.lease_ms_left == 0)
			return _('ended: new flows go to the cloud');
		return report.grade == 'classic' ? _('none in this grade') : _('off');
	},

	// Why it is not up and served; empty where it is.
	why_not: (service) => service.reason || (service.drained ? _('drained by the operator') : ''),

	// What the counters of a claim say, in a sentence.
	remark: function(claim) {
		if (claim.flows > 0 || claim.packets_in > 0 || claim.admission != 'serve')
			return '';
		if (claim.flows_cloud > 0 || (claim.cloud || []).length > 0)
			return _('It has served nothing: all that came for it went to the cloud.');
		return _('It has served nothing: no client has asked for it on a LAN device.');
	}
});
