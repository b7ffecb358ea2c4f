// SPDX-License-Identifier: GPL-2.0-only
// Our own stand-in for LuCI's client API, as far as the pages use it and as LuCI's documentation has it: modules and
// their loader, L, E(), dom, _() and String.format. Where LuCI takes a bare string for HTML, so does this.
'use strict';

window.luci = (() => {
    const modules = new Map(); // name -> promise of an instance
    const html = []; // what was taken for it
    const is_object = (value) => value !== null && typeof value === 'object';

    class Base {
        constructor(...args) {
            this.__init__?.(...args);
        }

        static extend(members) {
            const derived = class extends this {};
            Object.assign(derived.prototype, members);
            return derived;
        }
    }

    const dom = {
        elem: (value) => is_object(value) && 'nodeType' in value,

        append(node, children) {
            if (Array.isArray(children)) {
                for (const child of children) {
                    // As there, "null" for null.
                    node.appendChild(dom.elem(child) ? child : document.createTextNode(`${child}`));
                }
            } else if (typeof children === 'function') {
                dom.append(node, children(node));
            } else if (dom.elem(children)) {
                node.appendChild(children);
            } else if (children !== null && children !== undefined) {
                html.push(`${children}`);
                node.innerHTML = `${children}`;
            }
            return node.lastChild;
        },

        content(node, children) {
            node.replaceChildren();
            return dom.append(node, children);
        },

        attr(node, attributes) {
            for (const [key, value] of Object.entries(attributes)) {
                if (typeof value === 'function') {
                    node.addEventListener(key, value);
                } else if (value !== null && value !== undefined) {
                    node.setAttribute(key, is_object(value) ? JSON.stringify(value) : value);
                }
            }
        },

        parse(html) {
            return document.createRange().createContextualFragment(html).firstChild;
        },

        create(what, attributes, children) {
            if (!is_object(attributes) || Array.isArray(attributes) || dom.elem(attributes)) {
                children = attributes;
                attributes = {};
            }
            let node;
            if (Array.isArray(what)) {
                node = document.createDocumentFragment();
                children = what;
            } else {
                node = what.startsWith('<') ? dom.parse(what) : document.createElement(what);
            }
            dom.attr(node, attributes);
            dom.append(node, children);
            return node;
        },
    };

    const required = /^require[ \t]+(\S+)(?:[ \t]+as[ \t]+([A-Za-z_]\S*))?$/;

    // The strings at the beginning of a source, between comments: 'use strict' and 'require …'.
    function directives(source) {
        const found = [];
        let rest = source;
        for (;;) {
            const match = /^(?:\s|;|\/\/[^\n]*\n|\/\*[^]*?\*\/)*(['"])((?:(?!\1).)*)\1/.exec(rest);
            if (match === null) {
                return found;
            }
            found.push(match[2]);
            rest = rest.slice(match[0].length);
        }
    }

    async function load(name) {
        const url = `/luci-static/resources/${name.replaceAll('.', '/')}.js`;
        const reply = await fetch(url);
        if (!reply.ok) {
            throw new Error(`cannot load ${url}: ${reply.status}`);
        }
        const source = await reply.text();
        const wanted = directives(source).map((text) => required.exec(text)).filter((match) => match !== null);
        const parts = await Promise.all(wanted.map((match) => L.require(match[1])));
        const names = wanted.map((match) => match[2] ?? match[1].replaceAll(/[^A-Za-z0-9]/g, '_'));
        const factory = new Function('window', 'document', 'L', ...names, `${source}\n//# sourceURL=${url}`);
        const type = factory(window, document, L, ...parts);
        if (!(type?.prototype instanceof Base)) {
            throw new Error(`${url} returns no class`);
        }
        return new type();
    }

    const L = {
        env: {},
        isObject: is_object,
        url: (...parts) => ['/cgi-bin/luci', ...parts].join('/'),
        hasViewPermission: () => L.env.may_write,
        resolveDefault: (value, otherwise) => Promise.resolve(value).catch(() => otherwise),
        require(name) {
            if (!modules.has(name)) {
                modules.set(name, load(name));
            }
            return modules.get(name);
        },
    };

    String.prototype.format = function (...values) {
        return this.replaceAll(/%(.)/g, (whole, kind) => {
            if (kind === '%') {
                return '%';
            }
            const value = values.shift();
            if (kind === 's') {
                return `${value}`;
            }
            if (kind === 'd') {
                return `${Math.trunc(value)}`;
            }
            throw new Error(`the stub knows no ${whole}`);
        });
    };

    window.L = L;
    window.E = dom.create;
    window._ = (text) => text;
    return {
        Base,
        dom,
        html,
        provide: (name, instance) => modules.set(name, Promise.resolve(instance)),
    };
})();

luci.provide('baseclass', luci.Base);
luci.provide('dom', luci.dom);
