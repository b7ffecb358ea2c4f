// SPDX-License-Identifier: GPL-2.0-only
// Our own stand-in for LuCI's form: a Map of NamedSections with Flag, Value, ListValue and DynamicList over one UCI file.
'use strict';

(() => {
    const { dom, uci } = luci;

    class Option {
        rmempty = true;
        choices = [];

        constructor(section, name, title, description) {
            Object.assign(this, { section, name, title, description });
        }
        value(key, text) {
            this.choices.push([key, text ?? key]);
        }
        get config() {
            return this.section.map.config;
        }
        get id() {
            return `widget.cbid.${this.config}.${this.section.name}.${this.name}`;
        }
        stored() {
            return uci.get(this.config, this.section.name, this.name) ?? this.default;
        }
        validate() {
            return true;
        }
        // True, or why not.
        check(value) {
            return this.validate(this.section.name, value);
        }
        draw() {
            return dom.create('div', { class: 'cbi-value' }, [
                dom.create('label', { class: 'cbi-value-title', for: this.id }, this.title),
                dom.create('div', { class: 'cbi-value-field' }, [
                    this.widget(),
                    dom.create('div', { class: 'cbi-value-description' }, this.description ?? ''),
                ]),
            ]);
        }
        input(attributes) {
            return dom.create('input', { class: 'cbi-input-text', placeholder: this.placeholder, ...attributes }, []);
        }
        save() {
            const value = this.read();
            const wrong = [].concat(value).map((one) => this.check(one)).find((said) => said !== true);
            if (wrong !== undefined) {
                throw new Error(`${this.name}: ${wrong}`);
            }
            if (value.length === 0 && !this.rmempty) {
                throw new Error(`${this.name}: must not be empty`);
            }
            if (value.length === 0) {
                uci.unset(this.config, this.section.name, this.name);
            } else {
                uci.set(this.config, this.section.name, this.name, value);
            }
        }
    }

    class Value extends Option {
        widget() {
            this.node = this.input({ id: this.id, type: 'text', value: this.stored() ?? '' });
            return this.node;
        }
        read() {
            return this.node.value;
        }
    }

    class Flag extends Option {
        widget() {
            const id = this.id;
            this.node = dom.create('input', { id, type: 'checkbox', checked: this.stored() === '1' ? '' : null }, []);
            return this.node;
        }
        read() {
            return this.node.checked ? '1' : '0';
        }
    }

    class ListValue extends Option {
        widget() {
            this.node = dom.create('select', { class: 'cbi-input-select', id: this.id },
                this.choices.map(([key, text]) => dom.create('option', { value: key }, [text])));
            this.node.value = this.stored() ?? '';
            return this.node;
        }
        read() {
            return this.node.value;
        }
    }

    class DynamicList extends Option {
        widget() {
            this.node = dom.create('div', { class: 'cbi-dynlist' }, [].concat(this.stored() ?? []).map((text) => this.item(text)));
            const entry = this.input({ id: this.id, type: 'text', list: `${this.id}.choices` });
            const add = () => {
                const said = this.check(entry.value);
                entry.classList.toggle('cbi-input-invalid', said !== true);
                entry.title = said === true ? '' : said;
                if (entry.value !== '' && said === true) {
                    entry.parentNode.before(this.item(entry.value));
                    entry.value = '';
                }
            };
            entry.addEventListener('keydown', (event) => event.key === 'Enter' && add());
            this.node.append(dom.create('div', { class: 'add-item' }, [
                entry,
                dom.create('datalist', { id: `${this.id}.choices` },
                    this.choices.map(([key]) => dom.create('option', { value: key }, []))),
                dom.create('button', { class: 'btn cbi-button', type: 'button', click: add }, ['+']),
            ]));
            return this.node;
        }
        item(text) {
            const item = dom.create('div', { class: 'item', tabindex: '0' }, [dom.create('span', {}, [text])]);
            item.addEventListener('click', () => item.remove());
            return item;
        }
        read() {
            return [...this.node.querySelectorAll('.item > span')].map((span) => span.textContent);
        }
    }

    class NamedSection {
        options = [];
        constructor(map, name) {
            Object.assign(this, { map, name });
        }
        option(type, ...args) {
            this.options.push(new type(this, ...args));
            return this.options.at(-1);
        }
    }

    class Map {
        sections = [];
        constructor(config, title, description) {
            Object.assign(this, { config, title, description });
        }
        section(type, ...args) {
            this.sections.push(new type(this, ...args));
            return this.sections.at(-1);
        }
        async render() {
            await uci.load(this.config);
            const node = dom.create('div', { class: 'cbi-map' }, [
                dom.create('h2', {}, this.title),
                dom.create('div', { class: 'cbi-map-descr' }, this.description),
                ...this.sections.map((section) => dom.create('div', { class: 'cbi-section' }, [
                    dom.create('div', { class: 'cbi-section-node' }, section.options.map((option) => option.draw())),
                ])),
            ]);
            node.luci_map = this;
            return node;
        }
        save() {
            this.sections.forEach((section) => section.options.forEach((option) => option.save()));
            return uci.save();
        }
    }

    luci.provide('form', { Map, NamedSection, Value, Flag, ListValue, DynamicList });
})();
