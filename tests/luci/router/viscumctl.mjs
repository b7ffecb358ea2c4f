// SPDX-License-Identifier: GPL-2.0-only
// In the place of viscumctl on the router: SANDBOX/state.json is the daemon. `validate` is done by the real one, whose
// path VISCUM_REAL is. While there is a file SANDBOX/hold, a deploy is under way.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';

const sandbox = process.env.SANDBOX;
const words = process.argv.slice(2);
const [json, verb, ...args] = words;
const state = JSON.parse(readFileSync(`${sandbox}/state.json`, 'utf8'));
appendFileSync(`${sandbox}/argv`, `${words.join(' ')}\n`);

function save() {
    writeFileSync(`${sandbox}/state.json`, JSON.stringify(state));
}

function answer(document, code = document.code ?? 0) {
    process.stdout.write(`${JSON.stringify(document)}\n`);
    process.exit(code);
}

function fail(code, message, hint = '', details = [], diagnostics = []) {
    answer({ error: { message, hint, details, diagnostics }, code });
}

function done(message, hint = '', details = [], facts = {}) {
    answer({ code: 0, changed: true, message, hint, details, facts });
}

function service_of(name) {
    return state.report.services.find((service) => service.name === name) ??
        fail(6, `no service '${name}'`, 'see: viscumctl list');
}

// What the real one says of a file.
function validate(text) {
    const said = spawnSync(process.env.VISCUM_REAL, ['--json', '--instance', 'viscumluci', 'validate', '-'], { input: text });
    return JSON.parse(said.stdout);
}

function read_valid(prefix) {
    const valid = validate(readFileSync(0, 'utf8'));
    if (valid.error) {
        fail(valid.code, `${prefix}the file is invalid`, '', [], valid.error.diagnostics);
    }
    return valid.services[0];
}

async function deploy() {
    const name = read_valid('nothing was deployed: ');
    const others = state.report.services.filter((service) => service.name !== name);
    const service = { ...state.template, name, state: 'starting', health: 'unknown', admission: 'off' };
    state.report.services = [...others, service];
    save();
    while (existsSync(`${sandbox}/hold`)) {
        await new Promise((again) => setTimeout(again, 10));
    }
    Object.assign(service, { state: 'up', health: 'healthy', admission: 'serve' });
    save();
    done(`${name}: healthy after 310 ms`, state.deploy_hint ?? '', [], { ms_to_healthy: '310' });
}

if (json !== '--json') {
    process.exit(2);
}
if (state.down && verb !== 'validate' && verb !== 'doctor') {
    fail(3, "no viscumd runs for instance 'viscum'", 'start it with: viscumd');
}
switch (verb) {
    case 'status': answer(args.length === 0 ? state.report : service_of(args[0])); break;
    case 'doctor': answer(state.doctor); break;
    case 'audit': answer({ ...state.audit, service: service_of(args[0]).name }); break;
    case 'validate': answer(validate(readFileSync(0, 'utf8'))); break;
    case 'plan':
        read_valid('');
        answer({ code: 0, changed: false, message: '', hint: '', details: state.steps, facts: {} });
        break;
    case 'deploy': await deploy(); break;
    case 'logs':
        service_of(args[0]);
        for (const line of state.log) {
            process.stdout.write(`${JSON.stringify(line)}\n`);
        }
        break;
    case 'drain':
    case 'resume':
        if (state.refuse) {
            fail(5, state.refuse, 'what to do next');
        }
        Object.assign(service_of(args[0]), { drained: verb === 'drain', admission: verb === 'drain' ? 'drain' : 'serve' });
        save();
        done(`${args[0]}: ${verb === 'drain' ? 'drained: new connections go to the cloud' : 'resumed'}`,
            state.change_hint ?? '');
        break;
    case 'restart':
        service_of(args[0]).restarts += 1;
        save();
        done(`${args[0]}: healthy after 120 ms`);
        break;
    case 'confirm':
        service_of(args[0]).confirm_ms_left = -1;
        save();
        done(`${args[0]}: confirmed`);
        break;
    case 'remove':
        service_of(args[0]);
        state.report.services = state.report.services.filter((service) => service.name !== args[0]);
        save();
        done(`${args[0]}: removed`);
        break;
    default: fail(2, `there is no verb '${verb}'`);
}
