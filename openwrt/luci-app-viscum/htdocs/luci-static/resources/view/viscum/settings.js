// SPDX-License-Identifier: GPL-2.0-only
// /etc/config/viscum. What is refused here, /etc/init.d/viscum would refuse as well: it makes viscum.yaml of it.
'use strict';
'require view';
'require form';
'require rpc';

const call_devices = rpc.declare({ object: 'luci-rpc', method: 'getNetworkDevices', expect: { '': {} } });

const DEVICE = /^[\]a-zA-Z0-9_.*?[!^@+-]+$/;
const CLAIM = /^([0-9a-fA-F.:]+)(\/([0-9]+))?( ([0-9]+)(-([0-9]+))?)?$/;
const KEY = /^ssh-ed25519 AAAA[a-zA-Z0-9+/=]+( [a-zA-Z0-9+/=@._ -]*)?$/;
const COST = /^[0-9]+(\.[0-9]+)?( [a-zA-Z]{1,8})?$/;
const DURATION = /^([0-9]+(ms|s|m|h)|off)$/;

const LOOPBACK = 'lo';

function says(pattern, otherwise) {
	return (section, value) => !value || pattern.test(value) ? true : otherwise;
}

// Whether it is an address or prefix of either family, and ports that there are.
function is_claim(value) {
	const [, address, , length, , first, , last] = CLAIM.exec(value) ?? [];
	const ports = [first ?? 1, last ?? first ?? 65535].map(Number);
	const v4 = /^[0-9]+(\.[0-9]+){3}$/.test(address);
	return (v4 ? address.split('.').every((byte) => byte <= 255) : /^[0-9a-fA-F:]*:[0-9a-fA-F:]*(\.[0-9.]+)?$/.test(address)) &&
		(length ?? 0) <= (v4 ? 32 : 128) && ports[0] >= 1 && ports[0] <= ports[1] && ports[1] <= 65535;
}

return view.extend({
	load: () => L.resolveDefault(call_devices(), {}),

	render: function(devices) {
		const map = new form.Map('viscum', _('Settings'),
			_('What Viscum may do on this router. A file /etc/viscum/viscum.yaml of your own comes first: then only the first of these counts.'));
		const section = map.section(form.NamedSection, 'main', 'viscum');
		section.addremove = false;

		let option = section.option(form.Flag, 'enabled', _('Run viscumd'),
			_('Without it services that run go on, and new flows go to the cloud once the lease has ended.'));
		option.default = '1';
		option.rmempty = false;

		option = section.option(form.DynamicList, 'lan', _('LAN devices'),
			_('Where clients\' packets come in. Name the bridge, not its ports. Patterns such as phy*-ap* are allowed.'));
		Object.keys(devices).filter((name) => name !== LOOPBACK && DEVICE.test(name)).sort().forEach((name) => option.value(name));
		option.placeholder = 'br-lan';
		option.rmempty = false;
		option.validate = says(DEVICE, _('This is no device name or pattern.'));

		option = section.option(form.DynamicList, 'claimable', _('Claimable'),
			_('What services may take over: an address or a prefix, and a port or ports behind it. Nothing else is ever taken over.'));
		option.placeholder = '203.0.113.0/24 443';
		option.validate = says({ test: is_claim }, _('An address or a prefix is needed, and perhaps a port or FIRST-LAST behind a blank.'));

		option = section.option(form.DynamicList, 'trust', _('Trusted keys'),
			_('Lines of .pub files, whose bundles are taken. As soon as there is one, nothing else can be deployed.'));
		option.placeholder = 'ssh-ed25519 AAAA… release';
		option.validate = says(KEY, _('A line of a .pub file of ssh-keygen -t ed25519 is needed.'));

		option = section.option(form.Value, 'lease', _('Lease'),
			_('How long new flows are served without a sign of viscumd: 1s to 24h, or off.'));
		option.placeholder = '30s';
		option.validate = says(DURATION, _('A number and ms, s, m or h is needed, or off.'));

		option = section.option(form.Value, 'cost_per_gb', _('Cost of a gigabyte'),
			_('What the uplink costs, for the money that services save.'));
		option.placeholder = '4.50 EUR';
		option.validate = says(COST, _('A price is needed, and perhaps a currency of letters behind a blank.'));

		option = section.option(form.Flag, 'metered', _('Metered uplink'),
			_('It is paid by what goes over it: nothing is measured over it.'));

		option = section.option(form.ListValue, 'measure_cloud', _('Measure the way to the cloud'),
			_('Some 40 kB a day and service.'));
		option.value('', _('unless the uplink is metered (default)'));
		option.value('1', _('always'));
		option.value('0', _('never'));
		option.optional = true;

		option = section.option(form.ListValue, 'log_level', _('Log level'));
		option.value('', _('info (default)'));
		[ 'debug', 'info', 'warn', 'error' ].forEach((level) => option.value(level));
		option.optional = true;

		return map.render();
	}
});
