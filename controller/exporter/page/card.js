// SPDX-License-Identifier: GPL-2.0-only
// One service: its state in words, its pictures, its figures and what happened to it.
import { Past, Ways, make, say } from './pictures.js';
import { bytes, cause_text, clock, duration, number, short_time, standing, totals } from './words.js';

const kMostEvents = 20;
let next_id = 0;

const kFacts = ['Probe round trip', 'Fail-overs', 'Kept off the uplink', 'Connections', 'Up', 'Restarts', 'Memory'];

export class Card {
    /// `announce` gets what a screen reader is to say.
    constructor(name, announce) {
        const id = `service-${next_id += 1}`;
        this.name = name;
        this.announce = announce;
        this.ways = new Ways();
        this.past = new Past();
        this.say = make('p', { className: 'say' });
        this.ways_caption = make('figcaption');
        this.past_caption = make('figcaption');
        this.events = make('ol');
        this.summary = make('summary', { textContent: 'What happened: nothing since this page was opened' });
        this.facts = new Map(kFacts.map((fact) => [fact, make('dd')]));
        this.article = make('article', {},
            make('h2', { id, textContent: name }), this.say,
            make('figure', {}, this.ways.svg, this.ways_caption), make('figure', {}, this.past.svg, this.past_caption),
            make('dl', { className: 'facts' }, ...kFacts.map((fact) => make('div', {}, make('dt', { textContent: fact }), this.facts.get(fact)))),
            make('details', {}, this.summary, this.events));
        this.article.setAttribute('aria-labelledby', id);
        this.before = null;
        this.kind = null;
        this.times = null;
    }

    tell(text, date = new Date()) {
        this.events.prepend(make('li', {}, make('time', { textContent: clock(date), dateTime: date.toISOString() }), text));
        while (this.events.children.length > kMostEvents) {
            this.events.lastChild.remove();
        }
        say(this.summary, `What happened (${this.events.children.length})`);
    }

    /// What the report knows from before this page was opened.
    tell_before(service) {
        if (service.given_back_ms_ago >= 0) {
            const how = service.given_back_cause === 'drained' || service.failover_last_us < 0 ? ''
                : `; ${service.drops ? 'it was closed' : 'the cloud had it'} after ${short_time(service.failover_last_us)}`;
            this.tell(`${service.drops ? 'Dropped' : 'Given to the cloud'}: ${cause_text(service.given_back_cause)}${how}`, new Date(Date.now() - service.given_back_ms_ago));
        }
    }

    notice(service, state) {
        const times = service.given_back.reduce((sum, count) => sum + count.times, 0);
        if (this.kind === null) {
            this.tell_before(service);
        } else if (times > this.times) {
            this.tell_before(service);
            this.announce(`${this.name}: ${service.drops ? 'nobody' : 'the cloud'} answers, ${cause_text(service.given_back_cause)}`);
        }
        if (this.kind !== null && state.kind === 'served' && (this.kind !== 'served' || times > this.times)) {
            this.tell('Served here again');
            this.announce(`${this.name} is served here again`);
        }
        this.kind = state.kind;
        this.tone = state.tone;
        this.times = times;
    }

    show(service, counted) {
        const state = standing(service);
        this.notice(service, state);
        say(this.say, state.text);
        this.say.dataset.tone = state.tone;
        const sum = totals(service);
        const seconds = this.before ? Math.max(0.2, (Date.now() - this.before.at) / 1000) : 1;
        const since = (field) => this.before && sum[field] >= this.before[field] ? sum[field] - this.before[field] : 0;
        const rate = { here: since('here') / seconds, cloud: since('cloud') / seconds, bytes: since('bytes') / seconds };
        this.past.add({ here: since('here'), cloud: since('cloud'), kind: state.kind });
        this.before = { ...sum, at: Date.now() };
        this.rate = rate;
        this.sum = sum;
        const now = !counted && sum.here === 0 ? 'This grade of datapath does not count traffic.'
            : rate.here + rate.cloud === 0 ? 'No traffic in this second.'
                : `${number(Math.round(rate.here))} packets a second served here, ${number(Math.round(rate.cloud))} by the cloud.`;
        say(this.ways_caption, now);
        this.ways.show(rate, `${this.name}: ${now}`);
        const minutes = this.past.samples.length < 60 ? `${this.past.samples.length} s` : `${Math.round(this.past.samples.length / 60)} min`;
        const past = `The last ${minutes}: ${number(this.past.sum('here'))} packets served here, ${number(this.past.sum('cloud'))} by the cloud.`;
        say(this.past_caption, past);
        this.past.show(`${this.name}: ${past}`);
        this.show_facts(service, sum, counted);
    }

    show_facts(service, sum, counted) {
        const fact = (name, text) => say(this.facts.get(name), text);
        fact('Probe round trip', service.probe_us >= 0 ? short_time(service.probe_us) : 'not measured');
        fact('Fail-overs', service.failovers > 0 ? `${number(service.failovers)}, last ${short_time(service.failover_last_us)}` : 'none');
        fact('Kept off the uplink', bytes(sum.bytes));
        fact('Connections', counted ? `${number(sum.flows)} here, ${number(sum.flows_cloud)} cloud` : 'not counted in this grade');
        fact('Up', service.up_ms > 0 ? duration(service.up_ms) : 'does not run');
        fact('Restarts', number(service.restarts));
        fact('Memory', service.memory_bytes > 0 ? bytes(service.memory_bytes) : 'not counted');
    }

    /// No news: a gap, not a guess.
    miss() {
        this.past.add({ here: 0, cloud: 0, kind: 'away' });
        this.ways.show({ here: 0, cloud: 0 }, `${this.name}: no news`);
        say(this.ways_caption, 'No news.');
        this.past.show(`${this.name}: no news`);
        this.before = null;
    }
}
