// SPDX-License-Identifier: GPL-2.0-only
// What a report says, in words that people read. No document is needed here.

const number_format = new Intl.NumberFormat('en');
export const number = (value) => number_format.format(value);

export function bytes(value) {
    const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
    let unit = 0;
    while (value >= 1000 && unit < units.length - 1) {
        value /= 1000;
        unit += 1;
    }
    return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function duration(millis) {
    const seconds = Math.floor(millis / 1000);
    if (seconds < 60) {
        return `${seconds} s`;
    }
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) {
        return `${minutes} min`;
    }
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

export function short_time(micros) {
    if (micros < 1000) {
        return `${micros} µs`;
    }
    return micros < 1e6 ? `${(micros / 1000).toFixed(micros < 1e5 ? 1 : 0)} ms` : `${(micros / 1e6).toFixed(1)} s`;
}

export const percent = (share) => `${share > 0 && share < 0.01 ? '<1' : share > 0.99 && share < 1 ? '>99' : Math.round(share * 100)} %`;
export const clock = (date) => date.toLocaleTimeString('en-GB');

// What a report says of a service.

const kCauses = {
    exited: 'its process ended',
    unhealthy: 'it did not answer its probes',
    drained: 'an operator drained it',
    ended: 'what it claims ended, by until',
    other: 'its network or its claims changed',
};
export const cause_text = (cause) => kCauses[cause] ?? cause;

export function standing(service) {
    if (service.admission === 'serve') {
        return service.reason ? { kind: 'served', tone: 'warn', text: `Served here, but: ${service.reason}` }
            : { kind: 'served', tone: 'good', text: 'Served here' };
    }
    if (service.drained) {
        return { kind: 'drained', tone: 'cloud', text: `Drained: new connections ${service.drops ? 'are dropped' : 'go to the cloud'}` };
    }
    const others = service.drops ? 'Nobody answers' : 'The cloud answers';
    if (service.state === 'preparing' || service.state === 'starting') {
        return { kind: 'given', tone: 'cloud', text: `Starting; ${others.toLowerCase()} meanwhile` };
    }
    return { kind: 'given', tone: 'warn', text: `${others}: ${service.reason || service.state}` };
}

export function totals(service) {
    const sum = { here: 0, cloud: 0, flows: 0, flows_cloud: 0, bytes: 0 };
    for (const claim of service.claims) {
        sum.here += claim.packets_in;
        sum.cloud += claim.cloud.reduce((packets, count) => packets + count.packets, 0);
        sum.flows += claim.flows;
        sum.flows_cloud += claim.flows_cloud;
        sum.bytes += claim.bytes_in + claim.bytes_out;
    }
    return sum;
}
