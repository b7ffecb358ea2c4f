// SPDX-License-Identifier: GPL-2.0-only
// The status page: reads the stream of reports, and has them said and drawn.
import { Card } from './card.js';
import { make, say } from './pictures.js';
import { bytes, clock, percent, standing } from './words.js';

const kTokenKey = 'viscum-token';
const kSilence = 5000;    // ms; an event comes each second, and one of a viscumd that hangs every other

const $ = (id) => document.getElementById(id);
const still = matchMedia('(prefers-reduced-motion: reduce)');
const cards = new Map();  // name -> Card
let token = sessionStorage.getItem(kTokenKey);
let stream = null;        // the one that is followed: { attempt: AbortController }
let last_news = null;     // Date
let away = false;         // viscumd, or who tells of it

function announce(text) {
    $('announce').textContent = text;
}

function headline(text, tone, detail) {
    say($('headline'), text);
    $('headline').dataset.tone = tone;
    say($('detail'), detail);
    document.title = tone === 'good' || tone === 'quiet' ? 'Viscum' : `● ${text}`;
}

function show_headline(report) {
    const given = report.services.filter((service) => standing(service).kind !== 'served');
    const odd = report.services.filter((service) => standing(service).kind === 'served' && standing(service).tone !== 'good');
    const count = report.services.length;
    const detail = `viscumd ${report.version}, live`;
    if (report.lease_ms_left === 0) {
        headline('The lease has ended: new connections go to the cloud', 'bad', detail);
    } else if (count === 0) {
        headline('No service is deployed', 'quiet', 'viscumctl deploy FILE brings one here');
    } else if (given.length === 0 && odd.length > 0) {
        headline(odd.length === 1 ? `${odd[0].name}: served here, and needs a look` : `${odd.length} services need a look`, 'warn', detail);
    } else if (given.length === 0) {
        const all = count === 1 ? `${report.services[0].name} is` : count === 2 ? 'Both services are' : `All ${count} services are`;
        headline(`${all} served here`, 'good', detail);
    } else if (given.length === 1) {
        const answers = given[0].drops ? 'nobody answers' : 'the cloud answers';
        headline(`${given[0].name}: ${standing(given[0]).kind === 'drained' ? 'drained' : answers}`, standing(given[0]).tone,
            count === 1 ? detail : count === 2 ? `The other one is served here; ${detail}` : `The other ${count - 1} are served here; ${detail}`);
    } else {
        headline(`${given.length} of ${count} services are not served here`, 'warn', detail);
    }
}

function show_totals(counted) {
    const all = [...cards.values()];
    const sum = (value) => all.reduce((so_far, card) => so_far + value(card), 0);
    const here = sum((card) => card.sum.flows);
    const cloud = sum((card) => card.sum.flows_cloud);
    say($('total-share'), !counted ? 'not counted' : here + cloud > 0 ? percent(here / (here + cloud)) : 'none yet');
    say($('total-saved'), bytes(sum((card) => card.sum.bytes)));
    say($('total-rate'), `${bytes(sum((card) => card.rate.bytes))}/s`);
    $('totals').hidden = all.length === 0;
}

function show_box(report) {
    const facts = [
        ['Grade', report.grade_reason ? `${report.grade}: ${report.grade_reason}` : report.grade],
        ['Lease', report.lease_ms_left < 0 ? 'off' : report.lease_ms_left === 0 ? 'ended' : `${Math.round(report.lease_ms_left / 1000)} s`],
        ...report.lan.map((lan) => [`LAN ${lan.device}`, lan.attached ? 'looked at' : lan.problem || 'not looked at']),
    ];
    const list = $('box-facts');
    while (list.children.length > facts.length) {
        list.lastChild.remove();
    }
    facts.forEach(([name, value], index) => {
        const row = list.children[index] ?? list.appendChild(make('div', {}, make('dt'), make('dd')));
        say(row.children[0], name);
        say(row.children[1], value);
    });
    $('box').hidden = false;
}

/// What needs a look comes first. Not under the fingers of somebody who reads a card by keyboard.
function sort_cards() {
    const list = $('services');
    const rank = (card) => (card.kind === 'served' && card.tone === 'good' ? 1 : 0);
    const sorted = [...cards.values()].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
    if (sorted.some((card, index) => list.children[index] !== card.article) && !list.contains(document.activeElement)) {
        list.append(...sorted.map((card) => card.article));
    }
}

function show(report) {
    last_news = new Date();
    const counted = report.grade === 'socket';  // the classic grade does not see flows
    say($('instance'), report.instance === 'viscum' ? 'Viscum' : `Viscum · ${report.instance}`);
    const names = new Set(report.services.map((service) => service.name));
    for (const [name, card] of cards) {
        if (!names.has(name)) {
            card.article.remove();
            cards.delete(name);
        }
    }
    for (const service of report.services) {
        if (!cards.has(service.name)) {
            cards.set(service.name, new Card(service.name, announce));
            $('services').append(cards.get(service.name).article);
        }
        cards.get(service.name).show(service, counted);
    }
    sort_cards();
    show_totals(counted);
    show_box(report);
    show_headline(report);
    if (away) {
        away = false;
        announce($('headline').textContent);
    }
    animate();
}

function show_away(text, detail) {
    if ($('headline').textContent !== text) {
        announce(text);
    }
    away = true;
    headline(text, 'bad', detail);
    cards.forEach((card) => card.miss());
}

const since_text = () => (last_news ? `No news since ${clock(last_news)}. ` : '');

// One frame after the other while something moves and somebody looks.
let frame = 0;
function animate() {
    if (frame !== 0 || still.matches || document.hidden) {
        return;
    }
    let before = performance.now();
    const step = (now) => {
        const seconds = Math.min(0.1, (now - before) / 1000);
        before = now;
        let moves = false;
        for (const card of cards.values()) {
            card.ways.move(seconds);
            moves = moves || card.ways.dots.length > 0 || card.ways.rate.here + card.ways.rate.cloud > 0;
        }
        frame = moves && !still.matches && !document.hidden ? requestAnimationFrame(step) : 0;
    };
    frame = requestAnimationFrame(step);
}
still.addEventListener('change', () => (still.matches ? cards.forEach((card) => card.ways.rest()) : animate()));

// The stream. Not EventSource, which cannot show a token.

function take(event) {
    const data = event.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n');
    if (data === '') {
        return;
    }
    const report = JSON.parse(data);
    if (report.error) {
        show_away('viscumd is away', `${since_text()}${report.error.message}. Services go on; when the lease ends, new connections go to the cloud.`);
    } else {
        show(report);
    }
}

/// Ends `attempt` where nothing is heard for kSilence: a router that lost its power does not even hang up.
class Patience {
    constructor(attempt) {
        this.attempt = attempt;
        this.renew();
    }
    renew() {
        this.end();
        this.timer = setTimeout(() => this.attempt.abort(new Error(`nothing came for ${kSilence / 1000} s`)), kSilence);
    }
    end() {
        clearTimeout(this.timer);
    }
}

async function read(body, patience) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
        const { value, done } = await reader.read();
        if (done) {
            return;
        }
        patience.renew();
        text += value;
        const events = text.split('\n\n');
        text = events.pop();
        events.forEach(take);
    }
}

function ask_for_token(answer) {
    $('ask').hidden = false;
    headline('Who are you?', 'quiet', 'This address is open to those who have the token.');
    say($('token-answer'), answer);
    $('token').focus();
}

async function follow() {
    const mine = { attempt: null };
    stream = mine;
    let again = 1000;
    while (stream === mine) {
        mine.attempt = new AbortController();
        const patience = new Patience(mine.attempt);
        try {
            const headers = token ? { Authorization: `Bearer ${token}` } : {};
            const answer = await fetch('/api/v1/events', { headers, signal: mine.attempt.signal, cache: 'no-store' });
            if (answer.status === 401) {
                const answer_text = token ? 'That is not the token.' : '';
                token = null;
                sessionStorage.removeItem(kTokenKey);
                stream = null;
                return ask_for_token(answer_text);
            }
            if (!answer.ok) {
                throw new Error(`it answers ${answer.status}: ${(await answer.text()).trim()}`);
            }
            $('ask').hidden = true;
            again = 1000;
            await read(answer.body, patience);
        } catch (error) {
            if (stream !== mine) {
                return;
            }
            show_away('The exporter does not answer', `${since_text()}It is asked again and again. (${error.message})`);
        } finally {
            patience.end();
        }
        if (stream === mine) {
            await new Promise((resolve) => setTimeout(resolve, again));
            again = Math.min(again * 1.5, 10000);
        }
    }
}

function stop() {
    const open = stream;
    stream = null;
    open?.attempt.abort();
}

/// From the link's fragment, which goes to no server, and out of the address at once.
function token_from_fragment() {
    const given = location.hash.slice(1);
    if (given.length >= 16) {
        token = given;
        sessionStorage.setItem(kTokenKey, token);
        history.replaceState(null, '', location.pathname);
        return true;
    }
    return false;
}

$('token-form').addEventListener('submit', (event) => {
    event.preventDefault();
    token = $('token').value.trim();
    $('token').value = '';
    sessionStorage.setItem(kTokenKey, token);
    stop();
    follow();
});
document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
        stop();  // a router has better to do than to tell nobody
    } else if (stream === null) {
        follow();
    }
});
addEventListener('hashchange', () => {
    if (token_from_fragment()) {
        stop();
        follow();
    }
});
token_from_fragment();
follow();
