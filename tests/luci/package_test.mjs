// SPDX-License-Identifier: GPL-2.0-only
// What of the application has to fit together, and to the package viscum and docs/json.md.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { app, catalogue, files, pot } from './pot.mjs';
import { state } from './router/fixtures.mjs';

const tree = join(app, '../..');
const read = (path) => readFileSync(path, 'utf8');
const sources = files('htdocs', '.js');
const menu = JSON.parse(read(join(app, 'root/usr/share/luci/menu.d/luci-app-viscum.json')));
const rights = JSON.parse(read(join(app, 'root/usr/share/rpcd/acl.d/luci-app-viscum.json')))['luci-app-viscum'];

test('each entry of the menu has its page, each page its entry, and the menu asks for the rights', () => {
    const pages = Object.values(menu).filter((node) => node.action.type === 'view').map((node) => node.action.path).sort();
    const views = sources.map((path) => /resources\/view\/(.*)\.js$/.exec(path)?.[1]).filter((name) => name).sort();
    assert.deepEqual(pages, views);
    // Each by itself: whether a page may write is told by its own entry.
    for (const [path, node] of Object.entries(menu)) {
        assert.deepEqual(node.depends.acl, ['luci-app-viscum'], path);
    }
});

test('what the pages call is granted, nothing else is, and the plug-in has it in the same role', () => {
    const api = sources.map(read).join('\n');
    const called = [...api.matchAll(/declare\('(\w+)'/g)].map((match) => match[1]);
    const verbs = [...(/for \(let verb of \[(.*?)\]/.exec(api)?.[1] ?? '').matchAll(/'(\w+)'/g)].map((match) => match[1]);
    assert.deepEqual([...rights.read.ubus.viscum, ...rights.write.ubus.viscum].sort(), [...called, ...verbs].sort());
    const plugin = JSON.parse(read(join(tree, 'openwrt/viscum/files/viscum.acl.json'))).viscum;
    for (const role of ['read', 'write']) {
        for (const method of rights[role].ubus.viscum) {
            assert.ok(plugin[role].ubus.viscum.includes(method), `${role}: ${method}`);
        }
    }
});

test('po/templates/viscum.pot has the texts of the sources, and no other', () => {
    assert.equal(read(pot), catalogue(), 'node tests/luci/pot.mjs writes it anew');
});

test('no source makes HTML of a text', () => {
    const forbidden = [/innerHTML|outerHTML|insertAdjacentHTML|document\.write|rawhtml|DOMParser/, /\beval\b|new Function/];
    for (const sample of ['a.innerHTML = b', 'eval(a)']) {
        assert.ok(forbidden.some((pattern) => pattern.test(sample)), sample);
    }
    for (const path of sources) {
        for (const [index, line] of read(path).split('\n').entries()) {
            assert.ok(!forbidden.some((pattern) => pattern.test(line)), `${path}:${index + 1}: ${line}`);
        }
    }
});

test('LuCI can load, shrink and translate the sources', () => {
    for (const path of sources) {
        const source = read(path);
        assert.equal(spawnSync('node', ['--check', path]).status, 0, path);
        assert.ok(/^\/\/ SPDX-License-Identifier: GPL-2\.0-only\n/.test(source), path);
        assert.ok(source.includes("\n'use strict';\n"), path);
        // jsmin, which OpenWrt's build uses, knows no template literals, and no regular expression behind `return`.
        assert.ok(!source.includes('`') && !/return \//.test(source), path);
        for (const [, name] of source.matchAll(/^'require (\S+?)(?: as \S+)?';/gm)) {
            const own = join(app, 'htdocs/luci-static/resources', `${name.replaceAll('.', '/')}.js`);
            assert.ok(existsSync(own) || ['view', 'poll', 'ui', 'dom', 'rpc', 'form', 'baseclass'].includes(name), `${path}: ${name}`);
        }
        // A text in parts, or made on the way, is not found by translators.
        assert.ok(!/\b_\((?!')/.test(source) && !/\b_\('(?:[^'\\]|\\.)*'(?!\))/.test(source), path);
    }
});

test('the version is that of the project', () => {
    const version = /^project\(viscum VERSION (\S+)/m.exec(read(join(tree, 'CMakeLists.txt')))[1];
    assert.ok(read(join(app, 'Makefile')).includes(`\nPKG_VERSION:=${version}\n`));
});

test('the fields that the tests answer with are those of docs/json.md', () => {
    const documented = new Set([...read(join(tree, 'docs/json.md')).matchAll(/`(?:\w+(?:\[\])?\.)*(\w+)`|"(\w+)":/g)]
        .map((match) => match[1] ?? match[2]));
    const check = (value) => {
        if (value !== null && typeof value === 'object') {
            for (const [key, member] of Object.entries(value)) {
                assert.ok(Array.isArray(value) || documented.has(key), key);
                check(member);
            }
        }
    };
    const { report, doctor, audit } = state();
    for (const document of [report, doctor, audit]) {
        check(document);
    }
});
