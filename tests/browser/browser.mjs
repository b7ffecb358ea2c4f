// SPDX-License-Identifier: GPL-2.0-only
// What tests of web pages share: a headless Chromium, a server on the loopback, screenshots.
//
//     import { launch, serve } from '../browser/browser.mjs';
//     const browser = await launch();                      // playwright-core's Browser
//     const page = await browser.newPage();
//
// A test is run by `node FILE`; where something is missing it says so and ends with 77, which ctest shows as skipped.
// playwright-core lies in VISCUM_BROWSER_DIR/node_modules, where install.sh has put it.
import { accessSync, constants, mkdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { delimiter, dirname, join, resolve } from 'node:path';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const source = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

export function skip(reason) {
    console.log(`SKIPPED: ${reason}`);
    process.exit(77);
}

/// The path of a program in PATH, or undefined.
export function find_program(name) {
    for (const directory of (process.env.PATH ?? '').split(delimiter)) {
        const path = join(directory, name);
        try {
            accessSync(path, constants.X_OK);
            return path;
        } catch {
            continue;
        }
    }
    return undefined;
}

/// Skips the test where one of them is not installed.
export function need(...programs) {
    for (const program of programs) {
        if (find_program(program) === undefined) {
            skip(`there is no ${program}`);
        }
    }
}

function load_playwright() {
    const directory = resolve(process.env.VISCUM_BROWSER_DIR ?? join(source, 'build/bin/browser'));
    try {
        return createRequire(join(directory, 'package.json'))('playwright-core');
    } catch (error) {
        if (error.code !== 'MODULE_NOT_FOUND') {
            throw error;
        }
        return skip(`there is no playwright-core in ${directory}: tests/browser/install.sh puts it there`);
    }
}

/// Debian's Chromium. `args` are added to its own; it knows no name and no address but the loopback's.
export async function launch({ args = [] } = {}) {
    const playwright = load_playwright();
    need('chromium');
    const own = ['--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost', '--no-proxy-server',
        '--disable-lcd-text', '--font-render-hinting=none'];
    // Chromium's sandbox refuses to be root's.
    if (process.getuid() === 0) {
        own.push('--no-sandbox');
    }
    return playwright.chromium.launch({
        executablePath: find_program('chromium'),
        headless: true,
        args: [...own, ...args],
    });
}

/// A server on the loopback at a port that was free: `url` without a slash at its end, and close().
export async function serve(handler) {
    const server = createServer(handler);
    await new Promise((listening, failed) => {
        server.once('error', failed);
        server.listen(0, '127.0.0.1', listening);
    });
    return {
        url: `http://127.0.0.1:${server.address().port}`,
        close: () => new Promise((closed) => {
            server.closeAllConnections();
            server.close(closed);
        }),
    };
}

/// Whether this run writes pictures: VISCUM_SCREENSHOTS=1.
export const takes_screenshots = process.env.VISCUM_SCREENSHOTS === '1';

/// The page as a picture of at most 256 colours, at `path` below the tree; nothing where this run writes none.
export async function screenshot(page, path, { full = true } = {}) {
    if (!takes_screenshots) {
        return;
    }
    need('pngquant');
    const file = join(source, path);
    mkdirSync(dirname(file), { recursive: true });
    const picture = await page.screenshot({ fullPage: full, animations: 'disabled' });
    const reduced = spawnSync('pngquant', ['--strip', '--speed', '1', '--force', '--output', file, '64', '-'],
        { input: picture });
    if (reduced.status !== 0) {
        throw new Error(`cannot write ${file}: ${reduced.stderr}`);
    }
}
