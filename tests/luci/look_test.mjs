// SPDX-License-Identifier: GPL-2.0-only
// The pages that show what is: overview and service.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { on_router, text_of, tick } from './bench.mjs';

test('overview: the daemon, LAN devices and a row for each service', on_router(async ({ open }) => {
    const page = await open('overview');
    const text = await text_of(page, '#viscum-report');
    for (const part of ['Version 0.1.0', 'Grade socket', 'Lease 27 s left', 'br-guest', 'there is no such device']) {
        assert.ok(text.includes(part), `${part}: ${text}`);
    }
    const rows = page.locator('#viscum-report .cbi-section:nth-child(2) tr');
    assert.equal(await rows.count(), 4);
    const cache = (await rows.nth(2).innerText()).replaceAll(/\s+/g, ' ');
    assert.match(cache, /cache WAITS TO START AGAIN held down: it went down too often UNHEALTHY OFF .*- 4/);
    assert.match(await rows.nth(1).innerText(), /18k here, 412 to the cloud/);
    assert.equal(await rows.nth(2).locator('.cbi-progressbar > div').getAttribute('style'), 'width:78%');
    await rows.nth(2).getByRole('link', { name: 'cache' }).click();
    await page.waitForURL('**/service?name=cache');
}));

test('overview: what doctor found, with the command that mends it', on_router(async ({ open }) => {
    const page = await open('overview');
    const problem = page.locator('#viscum-findings .alert-message.danger');
    await problem.waitFor();
    assert.match(await problem.innerText(), /no device is named 'br-guest'/);
    assert.equal(await page.locator('#viscum-findings .warning pre').innerText(), 'sysctl -w net.ipv6.conf.all.forwarding=1');
    assert.equal(await page.locator('#viscum-findings summary').innerText(), 'What is as it should be: 2 checks');
}));

test('overview: a daemon that is away is told with what to do, and comes back by itself', on_router(async ({ router, open }) => {
    const state = router.state;
    router.set({ ...state, down: true });
    const page = await open('overview');
    assert.match(await text_of(page, '#viscum-report'), /no viscumd runs for instance 'viscum' start it with: viscumd On this router: \/etc\/init\.d\/viscum start/);
    router.set(state);
    await tick(page);
    assert.match(await text_of(page, '#viscum-report'), /Version 0.1.0/);
}));

test('overview: polling shows what is new and leaves the focus where it is', on_router(async ({ router, open }) => {
    const page = await open('overview');
    await page.getByRole('link', { name: 'plates' }).focus();
    const state = router.state;
    state.report.services[0].restarts = 77;
    state.report.grade = 'classic';
    state.report.grade_reason = 'the kernel has no cls_bpf';
    router.set(state);
    await tick(page);
    const text = await text_of(page, '#viscum-report');
    assert.match(text, /the kernel has no cls_bpf/);
    assert.match(text, /not counted in this grade; 544 MB served here .* 77/);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'plates');
}));

test('service: all about one, its claims with counters, and reasons in sentences', on_router(async ({ open }) => {
    const page = await open('service', { query: '?name=plates' });
    const text = await text_of(page, '#viscum-service');
    for (const part of ['Runs for 1 d 2 h', '9.4 MB of memory, processes: 3, 5 s of processor time', 'memory 64M, pids 64',
        '203.0.113.10:80/tcp', '18k served here, 412 given to the cloud', '512 MB in 402k packets',
        '12 packets: nothing listened on that address and port at that instant',
        '9411 packets: the connection began with the cloud and stays there',
        'It has served nothing: no client has asked for it on a LAN device.', 'nothing: it only answers']) {
        assert.ok(text.includes(part), `${part}: ${text}`);
    }
    assert.equal(await page.locator('[aria-current]').innerText(), 'plates');
    await page.getByRole('navigation').getByRole('link', { name: 'cache' }).click();
    await page.waitForURL('**/service?name=cache');
    await page.evaluate(() => luci.ready);
    const other = await text_of(page, '#viscum-service');
    for (const part of ['Why the cloud answers held down: it went down too often', 'out of memory (limit 160M)',
        'processes killed, out of memory: 4', '3 packets: dropped: nothing in its file allows the destination']) {
        assert.ok(other.includes(part), `${part}: ${other}`);
    }
}));

test('service: what its sandbox amounts to is asked for when it is opened', on_router(async ({ router, open }) => {
    const page = await open('service', { query: '?name=plates' });
    assert.ok(!router.asked.some((line) => line.includes('audit')));
    await page.locator('#viscum-audit summary').click();
    await page.locator('#viscum-audit li').waitFor();
    assert.match(await text_of(page, '#viscum-audit'), /1\.2 of 10, OK .*sees the programs of the host, read-only/);
}));

test('service: the log follows, and stands still where it is told to', on_router(async ({ router, open }) => {
    const page = await open('service', { query: '?name=plates' });
    await page.locator('#viscum-log', { hasText: 'GET /healthz' }).waitFor();
    const say = async (text) => {
        const state = router.state;
        state.log.push({ time: '', text });
        router.set(state);
        await tick(page);
        return page.innerText('#viscum-log');
    };
    assert.match(await say('one more'), /200 3\none more$/);
    await page.getByLabel('Follow').uncheck();
    assert.doesNotMatch(await say('and another'), /another/);
}));

test('service: one that does not exist is named, and none at all is said', on_router(async ({ router, open }) => {
    const page = await open('service', { query: '?name=nobody' });
    assert.match(await text_of(page), /There is no service nobody\./);
    const state = router.state;
    state.report.services = [];
    router.set(state);
    assert.match(await text_of(await open('service')), /There are no services\. Deploy a service/);
    assert.match(await text_of(await open('overview')), /There are no services\./);
}));
