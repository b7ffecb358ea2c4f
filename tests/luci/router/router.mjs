// SPDX-License-Identifier: GPL-2.0-only
// A router for the pages: its files below a directory of its own, LuCI's pages around them, and ubus with the objects that
// they use. `viscum` is the plug-in of the package, run by busybox's shell as rpcd runs it, behind LuCI's list of rights.
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, extname, join, normalize, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serve } from '../../browser/browser.mjs';
import { read_uci, write_uci } from './uci.mjs';
import { state } from './fixtures.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const tree = resolve(here, '../../..');
export const app = join(tree, 'openwrt/luci-app-viscum');
const plugin = join(tree, 'openwrt/viscum/files/rpcd-viscum');
const init = join(tree, 'openwrt/viscum/files/viscum.init');
const stubs = join(tree, 'tests/openwrt/stubs');
const types = { '.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html' };
const INVALID = 2, NOT_FOUND = 4, DENIED = 6;

export function read_json(path) {
    return JSON.parse(readFileSync(path, 'utf8'));
}

const menu = read_json(join(app, 'root/usr/share/luci/menu.d/luci-app-viscum.json'));
const rights = read_json(join(app, 'root/usr/share/rpcd/acl.d/luci-app-viscum.json'))['luci-app-viscum'];

export class Router {
    /// role: write, or read for a user who may only look.
    role = 'write';
    dark = false;
    root = mkdtempSync(join(tmpdir(), 'viscum-luci-'));

    /// real: the path of viscumctl. programs: where the viscumctl is that the plug-in finds.
    static async open({ real, programs = here }) {
        const router = new Router();
        Object.assign(router, { real, programs });
        mkdirSync(router.path('etc/config'), { recursive: true });
        router.write('etc/config/viscum', "config viscum 'main'\n\toption enabled '1'\n\tlist lan 'br-lan'\n");
        // procd has viscumd running.
        router.write('running', '');
        symlinkSync(resolve(real), router.path('viscumctl'));  // the init script's
        router.set(state());
        router.server = await serve((query, reply) => router.answer(query, reply));
        return router;
    }

    async close() {
        await this.server.close();
        rmSync(this.root, { recursive: true });
    }

    path(name) {
        return join(this.root, name);
    }
    write(name, text) {
        writeFileSync(this.path(name), text);
    }
    read(name) {
        return existsSync(this.path(name)) ? readFileSync(this.path(name), 'utf8') : '';
    }
    remove(name) {
        rmSync(this.path(name), { force: true });
    }
    /// What viscumctl knows.
    get state() {
        return JSON.parse(this.read('state.json'));
    }
    set(fresh) {
        this.write('state.json', JSON.stringify(fresh));
        this.remove('argv');
    }
    /// The lines that viscumctl was called with.
    get asked() {
        return this.read('argv').split('\n').filter((line) => line !== '');
    }
    url(page, query = '') {
        return `${this.server.url}/cgi-bin/luci/admin/services/viscum/${page}${query}`;
    }

    async answer(query, reply) {
        const { pathname } = new URL(query.url, this.server.url);
        if (query.method === 'POST' && pathname === '/ubus') {
            const parts = [];
            for await (const part of query) {
                parts.push(part);
            }
            const call = JSON.parse(Buffer.concat(parts).toString());
            const result = await this.ubus(...call.params.slice(1));
            reply.setHeader('content-type', 'application/json');
            reply.end(JSON.stringify({ jsonrpc: '2.0', id: call.id, result }));
            return;
        }
        const page = menu[pathname.replace(/^\/cgi-bin\/luci\//, '')];
        if (page?.action.type === 'view') {
            reply.setHeader('content-type', 'text/html; charset=utf-8');
            reply.end(this.page(page.action.path));
            return;
        }
        this.file(pathname, reply);
    }

    file(pathname, reply) {
        const path = pathname.startsWith('/stub/') ? join(here, '..', normalize(pathname))
            : join(app, 'htdocs', normalize(pathname));
        if (!existsSync(path)) {
            reply.statusCode = 404;
            reply.end();
            return;
        }
        reply.setHeader('content-type', `${types[extname(path)] ?? 'application/octet-stream'}; charset=utf-8`);
        reply.end(readFileSync(path));
    }

    // What LuCI's theme puts around a page. Scripts of its own are in files, so that one that came with a text is refused.
    page(view) {
        const tabs = Object.entries(menu).filter(([, node]) => node.action.type === 'view').map(([path, node]) =>
            `<li class="${node.action.path === view ? 'active' : ''}"><a href="/cgi-bin/luci/${path}">${node.title}</a></li>`);
        const env = JSON.stringify({ sessionid: '0'.repeat(32), may_write: this.role === 'write', view });
        return `<!DOCTYPE html>
<html lang="en" data-darkmode="${this.dark}"><head><meta charset="utf-8"><title>Viscum</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="/stub/theme.css"></head>
<body><header>OpenWrt</header><div id="maincontent"><ul class="tabs">${tabs.join('')}</ul><div id="view"></div></div>
<script src="/stub/core.js"></script><script src="/stub/parts.js"></script><script src="/stub/form.js"></script>
<script>Object.assign(L.env, ${env}); luci.ready = L.require('view.' + L.env.view.replace('/', '.')).then(() => luci.page);</script>
</body></html>`;
    }

    may(object, method) {
        const roles = this.role === 'write' ? ['read', 'write'] : ['read'];
        return roles.some((role) => rights[role].ubus[object]?.includes(method));
    }

    async ubus(object, method, args) {
        appendFileSync(this.path('ubus'), `${object} ${method}\n`);
        if (object === 'uci') {
            return this.uci(method, args);
        }
        if (!this.may(object, method)) {
            return [DENIED];
        }
        if (object === 'luci-rpc') {
            return [0, { lo: {}, 'br-lan': {}, lan1: {}, 'phy0-ap0': {} }];
        }
        const methods = JSON.parse(await this.shell([plugin, 'list']));
        const kind = (value) => typeof value === 'string' ? 'str' : 32;
        if (methods[method] === undefined) {
            return [NOT_FOUND];
        }
        if (Object.entries(args).some(([name, value]) => methods[method][name] !== kind(value))) {
            return [INVALID];
        }
        const said = await this.shell([plugin, 'call', method],
            JSON.stringify({ ...args, ubus_rpc_session: '0'.repeat(32) }));
        return [0, JSON.parse(said)];
    }

    async uci(method, { config = 'viscum', section, values, options }) {
        const role = method === 'get' ? 'read' : 'write';
        if (!rights[role].uci.includes(config) || (role === 'write' && this.role !== 'write')) {
            return [DENIED];
        }
        const file = `etc/config/${config}`;
        const sections = read_uci(this.read(file));
        if (method === 'get') {
            return [0, { values: sections }];
        }
        if (method === 'set') {
            Object.assign(sections[section], values);
        } else if (method === 'delete') {
            options.forEach((option) => delete sections[section][option]);
        } else if (method === 'apply') {
            // As procd does when the configuration has changed.
            await this.shell([join(stubs, 'rc.common'), this.root, init, 'reload']);
        } else {
            return [NOT_FOUND];
        }
        this.write(file, write_uci(sections));
        return [0];
    }

    // A script of the package; what it wrote.
    shell(argv, input = '') {
        const paths = [this.programs, join(stubs, 'bin'), process.env.PATH].join(':');
        const child = spawn('busybox', ['ash', ...argv],
            { env: { PATH: paths, SANDBOX: this.root, VISCUM_REAL: this.real }, stdio: ['pipe', 'pipe', 'inherit'] });
        // One that reads none of it has ended already.
        child.stdin.on('error', () => undefined);
        child.stdin.end(input);
        return new Promise((end) => {
            const parts = [];
            child.stdout.on('data', (part) => parts.push(part));
            child.on('close', () => end(Buffer.concat(parts).toString()));
        });
    }
}
