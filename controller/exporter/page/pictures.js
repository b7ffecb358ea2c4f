// SPDX-License-Identifier: GPL-2.0-only
// Elements, and the two pictures of a service. Whatever comes from outside becomes text and nothing else: no piece of it is
// ever parsed as HTML.
import { percent } from './words.js';

const kSeconds = 300;   // of the past that is shown
const kFewest = 60;     // in the first minute the picture is that long
const kMostDots = 14;

export function make(tag, properties = {}, ...children) {
    const node = document.createElement(tag);
    Object.assign(node, properties);
    node.append(...children);
    return node;
}

export function draw(tag, attributes = {}, ...children) {
    const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) {
        node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
}

/// Only what changed, so that screen readers and selections are left alone.
export function say(node, text) {
    if (node.textContent !== text) {
        node.textContent = text;
    }
}


// The moving picture: clients on the left, two ways to the right.

const kWays = { here: 'M26 48 C120 48 150 20 226 20', cloud: 'M26 48 C120 48 150 76 226 76' };

export class Ways {
    constructor() {
        this.paths = { here: draw('path', { class: 'here', d: kWays.here }), cloud: draw('path', { class: 'cloud', d: kWays.cloud }) };
        this.labels = { here: draw('text', { x: 236, y: 18 }), cloud: draw('text', { x: 236, y: 74 }) };
        this.dots = [];
        this.rate = { here: 0, cloud: 0 };
        this.svg = draw('svg', { class: 'ways', viewBox: '0 0 320 96', role: 'img' },
            this.paths.cloud, this.paths.here, draw('circle', { class: 'node', cx: 18, cy: 48, r: 5 }),
            draw('text', { class: 'small', x: 6, y: 68 }, 'clients'), this.labels.here, this.labels.cloud,
            draw('text', { class: 'small', x: 236, y: 32 }, 'served here'), draw('text', { class: 'small', x: 236, y: 88 }, 'by the cloud'));
    }

    show(rate, words) {
        this.rate = rate;
        const all = rate.here + rate.cloud;
        for (const way of ['here', 'cloud']) {
            const share = all > 0 ? rate[way] / all : 0;
            this.paths[way].setAttribute('stroke-width', (1.5 + 11 * share).toFixed(1));
            say(this.labels[way], all > 0 ? percent(share) : '–');
        }
        this.svg.setAttribute('aria-label', words);
    }

    /// Dots as the traffic is: more of them for more, of each kind by its share.
    move(seconds) {
        const all = this.rate.here + this.rate.cloud;
        const wanted = all > 0 ? Math.min(kMostDots, 1 + Math.round(Math.log2(1 + all) * 1.6)) : 0;
        if (this.dots.length < wanted && Math.random() < seconds * wanted * 0.7) {
            const way = Math.random() < this.rate.here / all ? 'here' : 'cloud';
            const dot = draw('circle', { class: way, r: 3 });
            this.svg.append(dot);
            this.dots.push({ dot, way, at: 0, speed: 0.45 + Math.random() * 0.25 });
        }
        this.dots = this.dots.filter((item) => {
            item.at += seconds * item.speed;
            if (item.at >= 1) {
                item.dot.remove();
                return false;
            }
            const path = this.paths[item.way];
            const point = path.getPointAtLength(path.getTotalLength() * item.at);
            item.dot.setAttribute('cx', point.x);
            item.dot.setAttribute('cy', point.y);
            return true;
        });
    }

    rest() {
        this.dots.forEach((item) => item.dot.remove());
        this.dots = [];
    }
}

// The past: a column a second for the traffic, and below it a strip for what new connections got.

export class Past {
    constructor() {
        this.samples = [];
        this.svg = draw('svg', { class: 'past', preserveAspectRatio: 'none', role: 'img' });
    }

    add(sample) {
        this.samples.push(sample);
        this.samples.splice(0, Math.max(0, this.samples.length - kSeconds));
    }

    show(words) {
        const most = Math.max(1, ...this.samples.map((sample) => sample.here + sample.cloud));
        const width = Math.max(kFewest, this.samples.length);
        const first = width - this.samples.length;
        const nodes = [];
        const bar = (kind, x, y, width, height) => nodes.push(draw('rect', { class: kind, x, y, width, height }));
        this.samples.forEach((sample, index) => {
            const all = sample.here + sample.cloud;
            if (all > 0) {
                const height = 42 * Math.sqrt(all / most);
                const here = height * sample.here / all;
                bar('here', first + index, 44 - here, 1, here);
                bar('cloud', first + index, 44 - height, 1, Math.max(0, height - here));
            }
        });
        for (let from = 0; from < this.samples.length;) {
            let to = from;
            while (to < this.samples.length && this.samples[to].kind === this.samples[from].kind) {
                to += 1;
            }
            bar(this.samples[from].kind, first + from, 48, to - from, 8);
            from = to;
        }
        nodes.push(draw('line', { class: 'now', x1: 0, y1: 46, x2: width, y2: 46 }));
        this.svg.setAttribute('viewBox', `0 0 ${width} 56`);
        this.svg.replaceChildren(...nodes);
        this.svg.setAttribute('aria-label', words);
    }

    sum(way) {
        return this.samples.reduce((sum, sample) => sum + sample[way], 0);
    }
}
