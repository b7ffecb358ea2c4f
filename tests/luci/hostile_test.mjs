// SPDX-License-Identifier: GPL-2.0-only
// What comes from services and files is text wherever it is shown; the pages fit a phone, and a keyboard is enough.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { narrow, on_router, text_of, tick, wide } from './bench.mjs';
import { hostile, hostile_text } from './router/fixtures.mjs';

const pages = [['overview', ''], ['service', '?name=cache'], ['deploy', ''], ['settings', '']];

// No element came of a text, and no script ran.
async function check_harmless(page) {
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.equal(await page.locator('#view img, #view script, .modal img, .modal script').count(), 0);
}

// Until a page has shown all that it asks for by itself.
async function settled(page) {
    await page.locator('#viscum-findings details, #viscum-log:not(:empty), #viscum-text, .cbi-dynlist').first().waitFor();
}

async function count(page, selector) {
    return (await page.locator(selector).evaluate((node) => node.textContent)).split(hostile_text).length - 1;
}

test('a report whose texts are HTML shows them as they are', on_router(async ({ router, open }) => {
    const state = router.state;
    state.report = hostile(state.report);
    state.doctor = hostile(state.doctor);
    router.set(state);
    const page = await open('overview');
    await page.locator('#viscum-findings details').waitFor({ state: 'attached' });
    await tick(page);
    // Version and two words of the daemon; a name, three words and a reason of a service; three texts of a device.
    assert.ok(await count(page, '#viscum-report') > 15);
    assert.equal(await count(page, '#viscum-findings'), 6);
    await check_harmless(page);
    // Its link leads to the page of a service of this very name.
    await page.locator('#viscum-report a').nth(1).click();
    await page.waitForURL('**/service?name=*');
    await page.evaluate(() => luci.ready);
    assert.equal(await page.locator('[aria-current]').textContent(), `${hostile_text}cache`);
    // The plug-in refuses the name, and says so without it.
    await tick(page);
    assert.match(await text_of(page, '#viscum-service'), /that is no name of a service/);
    await check_harmless(page);
}));

test('a service whose reason, exit, log and claims are HTML shows them as they are', on_router(async ({ router, open }) => {
    const state = router.state;
    const { name } = state.report.services[1];
    state.report.services[1] = { ...hostile(state.report.services[1]), name };
    state.log = hostile(state.log);
    state.audit = hostile(state.audit);
    state.refuse = hostile('no');
    router.set(state);
    const page = await open('service', { query: '?name=cache' });
    await page.locator('#viscum-log', { hasText: 'onerror' }).waitFor();
    assert.ok(await count(page, '#viscum-service') > 15);
    assert.equal(await count(page, '#viscum-log'), 4);
    await page.locator('#viscum-audit summary').click();
    await page.locator('#viscum-audit li').waitFor();
    await page.getByRole('button', { name: 'Drain' }).click();
    await check_harmless(page);
    await page.getByRole('dialog').getByRole('button', { name: 'Drain' }).click();
    await page.locator('#viscum-answer .danger').waitFor();
    assert.equal(await count(page, '#viscum-answer'), 1);
    await check_harmless(page);
}));

test('a file, its mistakes, steps and answers that are HTML are shown as they are', on_router(async ({ router, open }) => {
    const state = router.state;
    state.steps = hostile(state.steps);
    state.deploy_hint = hostile('');
    router.set(state);
    const page = await open('deploy');
    const check = async (text, selector) => {
        await page.fill('#viscum-text', text);
        await page.getByRole('button', { name: 'Check' }).click();
        await page.locator(selector).waitFor();
        await check_harmless(page);
    };
    await check(`viscum: 1\nname: '${hostile_text}'\n`, '#viscum-mistakes');
    assert.ok(await count(page, '#viscum-mistakes') >= 1);
    await check('viscum: 1\nname: bread\nintercept: [{ address: 203.0.113.30, port: 80 }]\n' +
        `run: { command: [/bin/true, '${hostile_text}'] }\nhealth: { process: {} }\n`, '#viscum-steps');
    assert.equal(await count(page, '#viscum-steps'), 6);
    await page.getByRole('button', { name: 'Deploy' }).click();
    await page.locator('#viscum-result .success', { hasText: 'healthy' }).waitFor();
    assert.equal(await count(page, '#viscum-result'), 1);
    await check_harmless(page);
}));

test('a name in the address of the page is text', on_router(async ({ open }) => {
    const page = await open('service', { query: `?name=${encodeURIComponent(hostile_text)}` });
    assert.equal(await count(page, '#view .alert-message'), 1);
    await check_harmless(page);
}));

test('settings that are HTML are shown as they are', on_router(async ({ router, open }) => {
    router.write('etc/config/viscum', `config viscum 'main'\n\tlist lan '${hostile_text}'\n\toption lease '${hostile_text}'\n`);
    const page = await open('settings');
    assert.equal(await page.inputValue('[id$=".lease"]'), hostile_text);
    await check_harmless(page);
}));

test('each page fits 360 pixels, in both themes, also with long words', on_router(async ({ router, open }) => {
    const state = router.state;
    const long = 'x'.repeat(300);
    Object.assign(state.report.services[1], { reason: long, last_exit: long, user: long, egress: long });
    state.report.lan[2].problem = state.report.grade_reason = long;
    state.doctor.findings[1].what = state.doctor.findings[1].mend = long;
    state.log.push({ time: '', text: long });
    router.set(state);
    for (const dark of [false, true]) {
        router.dark = dark;
        for (const [name, query] of pages) {
            const page = await open(name, { query, size: narrow });
            await settled(page);
            const width = await page.evaluate(() => document.documentElement.scrollWidth);
            assert.ok(width <= narrow.width, `${name} is ${width} wide`);
            // No colour of a page's own: all of them follow the theme.
            assert.equal(await page.locator('#view [style*="color"], #view [style*="background"]').count(), 0);
        }
    }
}));

test('each control has a name and is reached by the tabulator alone', on_router(async ({ open }) => {
    for (const [name, query] of pages) {
        const page = await open(name, { query, size: wide });
        await settled(page);
        const controls = page.locator('#view').locator('a, button, input, select, textarea, summary, pre[tabindex]');
        const total = await controls.evaluateAll((nodes) => nodes.filter((node) => !node.disabled && node.checkVisibility()).length);
        assert.ok(total > 1, name);
        const reached = new Set();
        for (let step = 0; step < 80; ++step) {
            await page.keyboard.press('Tab');
            reached.add(await page.evaluate(() => {
                const node = document.activeElement;
                const all = [...document.querySelectorAll('#view a, #view button, #view input, #view select, #view textarea, #view summary, #view pre[tabindex]')];
                return all.indexOf(node);
            }));
        }
        reached.delete(-1);
        assert.equal(reached.size, total, name);
        const nameless = await controls.evaluateAll((nodes) => nodes.filter((node) => !(node.labels?.length > 0 ||
            node.textContent.trim() !== '' || node.ariaLabel)).map((node) => node.outerHTML));
        assert.deepEqual(nameless, [], name);
    }
}));
