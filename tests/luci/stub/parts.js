// SPDX-License-Identifier: GPL-2.0-only
// Our own stand-in for LuCI's rpc, poll, ui, uci and view. Polling is done by the test: luci.tick().
'use strict';

(() => {
    const { dom } = luci;
    let number = 0;
    let polled = [];

    const rpc = {
        declare: ({ object, method, params = [], expect, reject = false }) => async (...values) => {
            const args = Object.fromEntries(params.map((name, index) => [name, values[index]]));
            const reply = await fetch('/ubus', {
                method: 'POST',
                body: JSON.stringify({
                    jsonrpc: '2.0', id: ++number, method: 'call', params: [L.env.sessionid, object, method, args],
                }),
                signal: AbortSignal.timeout((L.env.rpctimeout ?? 20) * 1000),
            });
            const { result } = await reply.json();
            if (reject && result[0] !== 0) {
                throw new Error(`RPC call to ${object}/${method} failed with ubus code ${result[0]}`);
            }
            const value = result.length > 1 ? result[1] : result[0];
            if (expect === undefined) {
                return value;
            }
            const [[key, otherwise]] = Object.entries(expect);
            const part = key === '' ? value : value?.[key];
            return Object.prototype.toString.call(part) === Object.prototype.toString.call(otherwise) ? part : otherwise;
        },
    };

    const poll = {
        add: (task) => polled.push(task) > 0,
        remove(task) {
            polled = polled.filter((other) => other !== task);
        },
        active: () => true,
    };
    luci.tick = () => Promise.all(polled.map((task) => task()));

    const overlay = dom.create('div', { id: 'modal_overlay', tabindex: '-1' },
        [dom.create('div', { class: 'modal', role: 'dialog', 'aria-modal': 'true' }, [])]);
    overlay.addEventListener('keydown', (event) => {
        if (event.key === 'Escape') {
            overlay.querySelector('.right > button, .right > .btn')?.click();
        }
    });

    const ui = {
        showModal(title, children) {
            const dialog = overlay.firstElementChild;
            dom.content(dialog, dom.create('h4', {}, title));
            dom.append(dialog, children);
            document.body.append(overlay);
            document.body.classList.add('modal-overlay-active');
            overlay.focus();
            return dialog;
        },
        hideModal() {
            document.body.classList.remove('modal-overlay-active');
        },
        changes: {
            async apply() {
                await rpc.declare({ object: 'uci', method: 'apply', reject: true })();
                ui.showModal([], [dom.create('p', {}, ['Configuration changes applied.'])]);
            },
        },
    };

    // Of one section each: what is there, and what is to be changed.
    const sections = new Map();
    const changes = new Map();
    const get_config = rpc.declare({ object: 'uci', method: 'get', params: ['config'], reject: true });
    const set_options = rpc.declare({ object: 'uci', method: 'set', params: ['config', 'section', 'values'], reject: true });
    const delete_options = rpc.declare({ object: 'uci', method: 'delete', params: ['config', 'section', 'options'], reject: true });
    const key_of = (config, section) => `${config}.${section}`;

    const uci = {
        async load(config) {
            const { values } = await get_config(config);
            for (const [section, options] of Object.entries(values)) {
                sections.set(key_of(config, section), options);
            }
        },
        get: (config, section, option) => sections.get(key_of(config, section))?.[option],
        set(config, section, option, value) {
            changes.set(key_of(config, section), { ...changes.get(key_of(config, section)), [option]: value });
        },
        unset: (config, section, option) => uci.set(config, section, option, null),
        async save() {
            for (const [key, options] of changes) {
                const [config, section] = key.split('.');
                const set = Object.entries(options).filter(([, value]) => value !== null);
                const gone = Object.keys(options).filter((option) => options[option] === null);
                if (set.length > 0) {
                    await set_options(config, section, Object.fromEntries(set));
                }
                if (gone.length > 0) {
                    await delete_options(config, section, gone);
                }
            }
            changes.clear();
        },
    };

    // A page: load(), render(), and the buttons below it unless it has put null in their place.
    const view = luci.Base.extend({
        __init__() {
            luci.page = this.show();
        },
        async show() {
            const place = document.getElementById('view');
            dom.content(place, await this.render(await this.load()));
            const footer = this.addFooter();
            if (footer !== null) {
                place.append(footer);
            }
        },
        load: () => undefined,
        handleSave: () => Promise.all([...document.querySelectorAll('.cbi-map')].map((node) => node.luci_map?.save())),
        async handleSaveApply() {
            await this.handleSave();
            await ui.changes.apply();
        },
        handleReset: () => undefined,
        addFooter() {
            const button = (handler, text) => handler === null ? [] : [dom.create('button', {
                class: 'btn cbi-button', click: () => Promise.resolve().then(() => handler.call(this)).catch((error) => {
                    luci.failure = error.message;
                }),
            }, [text])];
            const buttons = [...button(this.handleSaveApply, 'Save & Apply'), ...button(this.handleSave, 'Save')];
            return buttons.length === 0 || L.hasViewPermission() === false
                ? null : dom.create('div', { class: 'cbi-page-actions' }, buttons);
        },
    });

    luci.uci = uci;
    luci.provide('rpc', rpc);
    luci.provide('poll', poll);
    luci.provide('ui', ui);
    luci.provide('uci', uci);
    luci.provide('view', view);
})();
