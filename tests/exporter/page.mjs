// SPDX-License-Identifier: GPL-2.0-only
// The status page in a headless Chromium, through a real fail-over.
// page.mjs URL PID URL_WITH_TOKEN TOKEN EXPORTER: PID is the process of the service "web", EXPORTER that of the exporter
// at URL; both are stopped and continued.
import assert from 'node:assert/strict';
import { launch, screenshot } from '../browser/browser.mjs';

const [url, pid, guarded, token, exporter] = process.argv.slice(2);
const kLimit = 20000;
const browser = await launch({ args: ['--disable-dev-shm-usage'] });
const complaints = [];

/// A page whose complaints count, and which may ask nobody but its own host.
async function open(at, options = {}) {
    const context = await browser.newContext({ locale: 'en-GB', ...options });
    const page = await context.newPage();
    page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type()) && !message.text().includes('401')) {
            complaints.push(message.text());
        }
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('dialog', (dialog) => {
        complaints.push(`a dialog: ${dialog.message()}`);
        dialog.dismiss();
    });
    page.on('request', (request) => assert.equal(new URL(request.url()).origin, new URL(at).origin));
    await page.goto(at);
    return page;
}

/// Any element of `selector`; what is there instead is told.
async function has_text(page, selector, text) {
    try {
        await page.waitForFunction(([where, what]) => [...document.querySelectorAll(where)].some((node) => node.textContent.includes(what)),
            [selector, text], { timeout: kLimit });
    } catch (error) {
        const there = await page.locator(selector).allTextContents();
        throw new Error(`'${text}' is not in ${selector}: ${JSON.stringify(there)}; ${JSON.stringify(complaints)}`, { cause: error });
    }
}
const dots = (page) => page.locator('.ways circle:not(.node)').count();
const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

async function fails_over() {
    const page = await open(url, { viewport: { width: 360, height: 740 }, colorScheme: 'light' });
    await has_text(page, '#headline', 'served here');
    await has_text(page, 'figcaption', 'packets a second served here');
    await page.waitForFunction(() => document.querySelectorAll('.ways circle.here').length > 0, null, { timeout: kLimit });
    await page.waitForTimeout(6000);
    process.kill(pid, 'SIGSTOP');
    await has_text(page, '#headline', 'web: the cloud answers');
    await has_text(page, '#announce', 'web: the cloud answers, it did not answer its probes');
    await has_text(page, 'article .say', 'The cloud answers: ');
    await has_text(page, 'article', 'Given to the cloud: it did not answer its probes; the cloud had it after');
    await page.waitForFunction(() => document.querySelectorAll('.past .given').length > 0, null, { timeout: kLimit });
    assert.equal(await page.locator('article h2').first().textContent(), 'web', 'what needs a look comes first');
    await page.waitForFunction(() => document.querySelectorAll('.ways circle.cloud').length > 1, null, { timeout: kLimit });
    await page.waitForTimeout(3000);
    assert.ok(await overflow(page) <= 0, 'nothing is wider than 360 px');
    assert.match(await page.locator('svg.ways').first().getAttribute('aria-label'), /packets a second|No traffic/);
    await screenshot(page, 'docs/status-page/phone-light.png', { full: false });
    process.kill(pid, 'SIGCONT');
    await has_text(page, '#headline', 'served here');
    await has_text(page, '#announce', 'is served here again');
    assert.equal(await page.title(), 'Viscum');
    await keyboard(page);
    await page.context().close();
}

async function keyboard(page) {
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'To the services');
    const web = page.locator('article', { has: page.locator('h2', { hasText: 'web' }) });
    await web.locator('summary').focus();
    await page.keyboard.press('Enter');
    assert.ok(await web.locator('details').evaluate((node) => node.open));
    assert.ok(await web.locator('li').first().isVisible());
}

async function keeps_still() {
    const page = await open(url, { reducedMotion: 'reduce', colorScheme: 'dark', viewport: { width: 1200, height: 760 } });
    await has_text(page, 'figcaption', 'packets a second served here');
    await page.waitForTimeout(1500);
    assert.equal(await dots(page), 0, 'nothing moves for those who want none of it');
    assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(15, 20, 18)');
    await page.context().close();
}

/// As from a router without power: no answer, and no end of the connection.
async function falls_silent() {
    const page = await open(url);
    await has_text(page, '#headline', 'served here');
    process.kill(exporter, 'SIGSTOP');
    try {
        await has_text(page, '#headline', 'The exporter does not answer');
        await has_text(page, '#detail', 'No news since');
        await has_text(page, '#announce', 'The exporter does not answer');
        await page.waitForTimeout(8000);  // it asks again, and hears nothing again
        await has_text(page, '#headline', 'The exporter does not answer');
    } finally {
        process.kill(exporter, 'SIGCONT');
    }
    await has_text(page, '#headline', 'served here');
    await has_text(page, '#detail', 'live');
    await page.context().close();
}

/// What a service could write into its reasons and its names.
async function hostile() {
    const page = await open(url);
    await has_text(page, '#headline', 'served here');
    const report = await page.evaluate(async () => (await fetch('/api/v1/status')).json());
    const bad = '<img src=x onerror=alert(1)></script><script>alert(2)</script>';
    const hostile_report = { ...report, instance: bad, grade_reason: bad, lan: [{ device: bad, bridge: '', attached: false, problem: bad }],
        services: report.services.map((service) => ({ ...service, name: bad, admission: 'drain', health: bad, state: bad, reason: bad,
            given_back_cause: bad, given_back_ms_ago: 1, last_exit: bad })) };
    await page.route('**/api/v1/events', (route) => route.fulfill({ contentType: 'text/event-stream', body: `data: ${JSON.stringify(hostile_report)}\n\n` }));
    await page.reload();
    await has_text(page, 'article h2', bad);
    await has_text(page, '#box-facts', bad);
    await has_text(page, 'article .say', bad);
    assert.equal(await page.locator('main img, main script').count(), 0);
    assert.ok(await overflow(page) <= 0);
    await page.context().close();
}

async function with_token() {
    const page = await open(guarded);
    await has_text(page, '#headline', 'Who are you?');
    await page.fill('#token', 'not-the-token-at-all');
    await page.keyboard.press('Enter');
    await has_text(page, '#token-answer', 'That is not the token.');
    await page.fill('#token', token);
    await page.keyboard.press('Enter');
    await has_text(page, '#headline', 'served here');
    assert.ok(await page.locator('#ask').isHidden());
    await page.context().close();
    const linked = await open(`${guarded}/#${token}`);
    await has_text(linked, '#headline', 'served here');
    assert.equal(new URL(linked.url()).hash, '', 'the token does not stay in the address');
    await linked.context().close();
}

async function picture_of_a_desk() {
    const page = await open(url, { viewport: { width: 1180, height: 760 }, colorScheme: 'dark' });
    await has_text(page, '#headline', 'served here');
    await page.waitForTimeout(process.env.VISCUM_SCREENSHOTS === '1' ? 20000 : 1000);
    assert.ok(await overflow(page) <= 0);
    await screenshot(page, 'docs/status-page/desktop-dark.png', { full: false });
    await page.context().close();
}

await fails_over();
await keeps_still();
await falls_silent();
await hostile();
await with_token();
await picture_of_a_desk();
await browser.close();
assert.deepEqual(complaints, []);
console.log('the page is as it should be');
