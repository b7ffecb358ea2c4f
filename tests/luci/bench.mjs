// SPDX-License-Identifier: GPL-2.0-only
// What the tests of the pages share: one browser, a router for each test, pages that may have no error.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import { launch, need, skip } from '../browser/browser.mjs';
import { Router } from './router/router.mjs';

need('busybox', 'jq');
const real = join(process.env.VISCUM_BIN_DIR ?? 'build/bin', 'viscumctl');
if (!existsSync(real)) {
    skip(`there is no ${real}`);
}

// Before any test begins: without a browser all are skipped.
const browser = await launch();
after(() => browser.close());

export const wide = { width: 1000, height: 800 };
export const narrow = { width: 360, height: 740 };

/// A test's body with a router of its own. open(PAGE, {query, size}) gives a page that is drawn; one with an error in it
/// fails the test. programs: where another viscumctl is than that of tests/luci/router.
export function on_router(body, programs) {
    return async (context) => {
        const router = await Router.open({ real, programs });
        const pages = [];
        const errors = [];
        const open = async (name, { query = '', size = wide } = {}) => {
            const page = await browser.newPage({ viewport: size });
            pages.push(page);
            // Long: what waits in vain has failed, and a busy machine has not.
            page.setDefaultTimeout(90000);
            page.on('pageerror', (error) => errors.push(`${name}: ${error.stack}`));
            page.on('console', (line) => line.type() === 'error' && errors.push(`${name}: ${line.text()}`));
            await page.goto(router.url(name, query));
            await page.evaluate(() => luci.ready);
            return page;
        };
        try {
            await body({ router, open, context });
            assert.deepEqual(errors, []);
            // A bare string is HTML to LuCI. Only titles of forms are, and they are ours.
            for (const page of pages.filter((one) => !one.url().endsWith('/settings'))) {
                assert.deepEqual(await page.evaluate(() => luci.html), [], page.url());
            }
        } finally {
            await Promise.all(pages.map((page) => page.close()));
            await router.close();
        }
    };
}

/// One turn of the polling.
export function tick(page) {
    return page.evaluate(() => luci.tick().then(() => undefined));
}

/// The text of what is visible of a part of the page, each blank a single one.
export async function text_of(page, selector = '#view') {
    return (await page.innerText(selector)).replaceAll(/\s+/g, ' ');
}

/// A service file, and one with three mistakes.
export const good = `viscum: 1
name: bread
intercept:
  - { address: 203.0.113.30, port: 80 }
run:
  command: [/usr/sbin/nginx]
health: { process: {} }
`;
export const bad = good.replace('port: 80 }', 'port: 80000 }').replace('  command', '  comand');

/// A button of the page itself, not of a dialog.
export function button(page, name) {
    return page.locator('#view').getByRole('button', { name, exact: true });
}
