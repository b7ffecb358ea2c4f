// SPDX-License-Identifier: GPL-2.0-only
// What viscumctl --json says on a router with three services; docs/json.md has the fields.

function claim(text, members = {}) {
    return {
        claim: text, admission: 'serve', flows: 0, packets_in: 0, bytes_in: 0, packets_out: 0, bytes_out: 0, flows_cloud: 0,
        cloud: [], ...members,
    };
}

function service(name, members = {}) {
    return {
        name, state: 'up', health: 'healthy', admission: 'serve', reason: '', last_exit: '', namespace: `viscum-${name}`,
        link: 'vs7f3a', pid: 4217, restarts: 0, up_ms: 93784000, drained: false, confirm_ms_left: -1, updating: false,
        digest: '0123456789abcdef', user: '1879052301', allows: [], limits: ['memory 64M', 'pids 64'],
        memory_bytes: 9437184, cpu_ms: 5230, pids: 3, oom_kills: 0, forks_refused: 0, image: '', egress: 'none',
        egress_counts: [], log_dropped: 0, claims: [], ...members,
    };
}

const plates = service('plates', {
    claims: [
        claim('203.0.113.10:80/tcp', {
            flows: 18234, packets_in: 220310, bytes_in: 31840112, packets_out: 402114, bytes_out: 512338021, flows_cloud: 412,
            cloud: [{ reason: 'no-listener', packets: 12 }, { reason: 'cloud-flow', packets: 9411 }],
        }),
        claim('[2001:db8::10]:80/tcp'),
    ],
});

const cache = service('cache', {
    state: 'backoff', health: 'unhealthy', admission: 'off', restarts: 4, up_ms: 0, memory_bytes: 0, cpu_ms: 0, pids: 0,
    reason: 'held down: it went down too often', last_exit: 'killed by SIGKILL: out of memory (limit 160M)', oom_kills: 4,
    egress: 'origin', egress_counts: [{ reason: 'out', packets: 120 }, { reason: 'not-allowed', packets: 3 }],
    claims: [claim('203.0.113.10:8080/tcp', {
        admission: 'off', flows: 310, bytes_in: 91000, bytes_out: 8412000, packets_in: 900, packets_out: 6100, flows_cloud: 87,
        cloud: [{ reason: 'not-admitted', packets: 87 }],
    })],
});

const names = service('names', {
    up_ms: 61000, memory_bytes: 2400000, confirm_ms_left: 95000,
    claims: [claim('203.0.113.53:53/udp', { flows: 4400, packets_in: 4400, bytes_in: 281600, packets_out: 4400, bytes_out: 440000 })],
});

export function state() {
    return structuredClone({
        template: plates,
        steps: ['write rules', 'make namespace for bread', 'make link for bread', 'set addresses of bread',
            'attach fence of bread', 'launch bread'],
        log: [
            { time: '2026-01-02T03:04:05.678Z', text: '203.0.113.77 - - "GET /plate/7 HTTP/1.1" 200 4711' },
            { time: '2026-01-02T03:04:06.001Z', text: '203.0.113.77 - - "GET /healthz HTTP/1.1" 200 3' },
        ],
        audit: {
            running: true, score: 12, word: 'OK',
            items: [
                { name: 'user', ok: true, exposure: 0, text: 'runs as uid 1879052301, an account of its own' },
                { name: 'root', ok: false, exposure: 12, text: 'sees the programs of the host, read-only' },
            ],
        },
        doctor: {
            code: 1, grade: 'socket',
            findings: [
                { check: 'kernel', severity: 'good', what: 'Linux 6.6 makes namespaces, links and filters as services need', mend: '' },
                { check: 'lan', severity: 'problem', what: "no device is named 'br-guest'",
                    mend: 'ip link shows the names; correct `lan:` in /etc/viscum/viscum.yaml' },
                { check: 'network', severity: 'warning', what: 'the router does not forward IPv6: who is not served here reaches no cloud',
                    mend: 'sysctl -w net.ipv6.conf.all.forwarding=1' },
                { check: 'room', severity: 'good', what: '96M of memory are available; space and clock are right', mend: '' },
            ],
        },
        report: {
            instance: 'viscum', version: '0.1.0', grade: 'socket', grade_reason: '', pid: 1412, lease_ms_left: 27400,
            lan: [
                { device: 'lan1', bridge: 'br-lan', attached: true, problem: '' },
                { device: 'phy0-ap0', bridge: 'br-lan', attached: true, problem: '' },
                { device: 'br-guest', bridge: '', attached: false, problem: 'there is no such device' },
            ],
            verdicts: [{ reason: 'unclaimed', packets: 812345 }, { reason: 'served', packets: 622424 }],
            services: [plates, cache, names],
        },
    });
}

/// The same with a text that wants to be HTML in the place of every text.
export const hostile_text = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>&amp;';
export function hostile(value, key = '') {
    if (typeof value === 'string') {
        return key === 'severity' ? value : hostile_text + value;
    }
    if (Array.isArray(value)) {
        return value.map((item) => hostile(item));
    }
    if (value !== null && typeof value === 'object') {
        return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, hostile(member, name)]));
    }
    return value;
}
