// SPDX-License-Identifier: GPL-2.0-only
// Viscum on ubus. Whatever happens, an answer is an object: what viscumctl --json writes (docs/json.md), or its form of a
// failure, {"error": {"message", "hint", "details", "diagnostics"}, "code"}, also where no answer came at all.
'use strict';
'require baseclass';
'require rpc';

// The plug-in waits 20 s for a service, which is as long as LuCI waits for an answer where nobody says otherwise.
const ANSWER_SECONDS = 30;
// rpcd hands a program no more than a pipe holds.
const MAX_TEXT_BYTES = 60000;

function failure(code, message, hint) {
	return { error: { message: message, hint: hint, details: [], diagnostics: [] }, code: code };
}

// Calls that take long must not hold up those that LuCI would put into one request with them.
function declare(method, params) {
	const call = rpc.declare({ object: 'viscum', method: method, params: params, nobatch: true, reject: true });
	return function(...values) {
		L.env.rpctimeout = Math.max(L.env.rpctimeout || 0, ANSWER_SECONDS);
		return call(...values).then(
			(answer) => L.isObject(answer) ? answer : failure(-1, _('The router gave an answer that cannot be read.'), ''),
			(error) => failure(-1, _('No answer came from the router.'), String(error.message || error)));
	};
}

const call_status = declare('status', [ 'name' ]);
const call_validate = declare('validate', [ 'text' ]);
const call_plan = declare('plan', [ 'text' ]);
const call_deploy = declare('deploy', [ 'text', 'confirm' ]);
const call_change = {};
for (let verb of [ 'drain', 'resume', 'restart', 'remove', 'confirm' ])
	call_change[verb] = declare(verb, [ 'name' ]);

function unless_long(text, call) {
	if (new Blob([ JSON.stringify(text) ]).size <= MAX_TEXT_BYTES)
		return call(text);
	return Promise.resolve(failure(2, _('The text is longer than the router takes over this way (60 KB).'),
		_('Copy the file to the router and use viscumctl deploy there.')));
}

return baseclass.extend({
	// The report on the daemon and all services.
	report: () => call_status(undefined),
	service: (name) => call_status(name),
	logs: declare('logs', [ 'name', 'lines' ]),
	doctor: declare('doctor'),
	audit: declare('audit', [ 'name' ]),

	// Of the text of a service file.
	validate: (text) => unless_long(text, call_validate),
	plan: (text) => unless_long(text, call_plan),
	// seconds: it goes again after them unless it is confirmed; 0: it stays.
	deploy: (text, seconds) => unless_long(text, (fit) => call_deploy(fit, seconds > 0 ? seconds : undefined)),

	// verb: drain, resume, restart, remove or confirm.
	change: (verb, name) => call_change[verb](name)
});
