// SPDX-License-Identifier: GPL-2.0-only
// The pages that change something: buttons of a service, deploying, settings.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bad, button, good, on_router, text_of, tick } from './bench.mjs';

function dialog(page, name) {
    return page.getByRole('dialog').getByRole('button', { name, exact: true });
}

test('service: drain asks first, shows the answer with its hint, and becomes resume', on_router(async ({ router, open }) => {
    router.set({ ...router.state, change_hint: 'and this is what to do next' });
    const page = await open('service', { query: '?name=plates' });
    await button(page, 'Drain').click();
    assert.match(await text_of(page, '.modal'), /Drain plates\? New flows go to the cloud\./);
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    assert.ok(!router.asked.some((line) => line.includes('drain')));
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Drain');

    await button(page, 'Drain').click();
    await dialog(page, 'Drain').click();
    await button(page, 'Resume').waitFor();
    assert.match(await text_of(page, '#viscum-answer'), /plates: drained: new connections go to the cloud and this is what to do next/);
    assert.match(await text_of(page, '#viscum-service'), /DRAINED .*drained by the operator/);
    assert.ok(router.asked.includes('--json drain plates'));

    await button(page, 'Resume').click();
    await dialog(page, 'Resume').click();
    await button(page, 'Drain').waitFor();
    assert.match(await text_of(page, '#viscum-answer'), /plates: resumed/);
}));

test('service: what viscumctl refuses is told with what to do', on_router(async ({ router, open }) => {
    router.set({ ...router.state, refuse: 'no, for a reason' });
    const page = await open('service', { query: '?name=plates' });
    await button(page, 'Drain').click();
    await dialog(page, 'Drain').click();
    await page.locator('#viscum-answer .danger').waitFor();
    assert.match(await text_of(page, '#viscum-answer'), /no, for a reason what to do next/);
}));

test('service: restart, and a version that waits is confirmed', on_router(async ({ router, open }) => {
    const page = await open('service', { query: '?name=names' });
    await button(page, 'Restart').click();
    await dialog(page, 'Restart').click();
    await page.locator('#viscum-answer .success').waitFor();
    assert.ok(router.asked.includes('--json restart names --wait 20s'));
    await page.locator('#viscum-service', { hasText: /Restarts1/ }).waitFor();
    assert.match(await text_of(page, '#viscum-service'), /This version is taken back in 1 min 35 s\./);
    await button(page, 'Confirm').click();
    await dialog(page, 'Confirm').click();
    await button(page, 'Confirm').waitFor({ state: 'detached' });
    assert.match(await text_of(page, '#viscum-answer'), /names: confirmed/);
}));

test('service: remove asks first, and then there is nothing left to press', on_router(async ({ router, open }) => {
    const page = await open('service', { query: '?name=cache' });
    await button(page, 'Remove').click();
    await dialog(page, 'Cancel').click();
    assert.equal(router.state.report.services.length, 3);
    await button(page, 'Remove').click();
    await dialog(page, 'Remove').click();
    await page.locator('#viscum-answer .success').waitFor();
    assert.ok(router.asked.includes('--json remove cache --wait 20s'));
    assert.deepEqual(router.state.report.services.map((service) => service.name), ['plates', 'names']);
    await tick(page);
    assert.equal(await button(page, 'Restart').count(), 0);
    assert.match(await text_of(page), /cache: removed .*To the overview/);
}));

test('deploy: mistakes are shown at their places, beside the text', on_router(async ({ router, open }) => {
    const page = await open('deploy');
    assert.ok(await button(page, 'Deploy').isDisabled());
    await page.fill('#viscum-text', bad);
    await button(page, 'Check').click();
    await page.locator('#viscum-mistakes li').first().waitFor();
    const mistakes = await page.locator('#viscum-mistakes li').allInnerTexts();
    assert.equal(mistakes.length, 3);
    assert.match(mistakes[0], /Line 4, column 36\s+port 80000 is out of range\s+a port is 1 to 65535/);
    assert.match(mistakes[1], /Line 6, column 3\s+unknown key 'comand'\s+did you mean 'command'\?/);
    assert.match(mistakes[0], /port: 80000 }\n {35}\^$/);
    await page.locator('#viscum-mistakes button').first().click();
    assert.equal(await page.evaluate(() => {
        const text = document.activeElement;
        return text.value.slice(text.selectionStart, text.selectionEnd);
    }), '80000 }');
    assert.ok(await button(page, 'Deploy').isDisabled());
    assert.deepEqual(router.asked, ['--json validate -']);
}));

test('deploy: what a valid file warns of is shown at its place', on_router(async ({ open }) => {
    const page = await open('deploy');
    await page.fill('#viscum-text', good.replace('port: 80 }', 'port: 80, until: 2020-01-01T00:00:00Z }'));
    await button(page, 'Check').click();
    await page.locator('#viscum-steps').waitFor();
    const warnings = await page.locator('#viscum-warnings li').allInnerTexts();
    assert.equal(warnings.length, 1);
    assert.match(warnings[0], /Line 4, column 47\s+'until' is over\s+no new flows are taken from then on/);
    assert.ok(await button(page, 'Deploy').isEnabled());
    await page.fill('#viscum-text', good);
    await button(page, 'Check').click();
    await page.locator('#viscum-steps').waitFor();
    assert.equal(await page.locator('#viscum-warnings').count(), 0);
}));

test('deploy: the steps of a good file, its progress, and the answer', on_router(async ({ router, open }) => {
    router.set({ ...router.state, deploy_hint: 'viscumctl status bread' });
    const page = await open('deploy');
    await page.setInputFiles('#viscum-file', { name: 'bread.yaml', mimeType: 'text/yaml', buffer: Buffer.from(good) });
    await button(page, 'Check').click();
    await page.locator('#viscum-steps').waitFor();
    assert.match(await text_of(page, '#viscum-result'), /The file is valid\. Service: bread .*write rules make namespace for bread/);

    router.write('hold', '');
    await button(page, 'Deploy').click();
    const progress = page.locator('#viscum-progress', { hasText: 'bread is starting, its health is not known yet' });
    while (await progress.count() === 0) {
        await tick(page);
    }
    router.remove('hold');
    await page.locator('#viscum-result .success', { hasText: 'bread: healthy after 310 ms' }).waitFor();
    assert.match(await text_of(page, '#viscum-result'), /viscumctl status bread/);
    assert.equal(await text_of(page, '#viscum-progress'), '');
    assert.ok(router.asked.includes('--json deploy --wait 20s -'));
    assert.ok(await button(page, 'Deploy').isDisabled());
    await page.getByRole('link', { name: 'See what became of bread' }).click();
    await page.waitForURL('**/service?name=bread');
}));

test('deploy: one that has to be confirmed is deployed so', on_router(async ({ router, open }) => {
    const page = await open('deploy');
    await page.fill('#viscum-text', good);
    await page.getByLabel('Taken back').selectOption('600');
    await button(page, 'Check').click();
    await page.locator('#viscum-steps').waitFor();
    await button(page, 'Deploy').click();
    await page.locator('#viscum-result .success', { hasText: 'healthy' }).waitFor();
    assert.ok(router.asked.includes('--json deploy --wait 20s --confirm 600s -'));
}));

test('deploy: a text that was changed has to be checked again', on_router(async ({ open }) => {
    const page = await open('deploy');
    await page.fill('#viscum-text', good);
    await button(page, 'Check').click();
    await page.locator('#viscum-steps').waitFor();
    assert.ok(await button(page, 'Deploy').isEnabled());
    await page.locator('#viscum-text').press('End');
    await page.keyboard.type('x');
    assert.ok(await button(page, 'Deploy').isDisabled());
    assert.equal(await text_of(page, '#viscum-result'), '');
}));

test('deploy: a text that is too long for this way is not sent', on_router(async ({ router, open }) => {
    const page = await open('deploy');
    await page.fill('#viscum-text', `#${' long'.repeat(12000)}`);
    await button(page, 'Check').click();
    await page.locator('#viscum-result .danger').waitFor();
    assert.match(await text_of(page, '#viscum-result'), /longer than the router takes/);
    assert.deepEqual(router.asked, []);
}));

test('settings: what is saved is in UCI, and in the viscum.yaml that comes of it', on_router(async ({ router, open }) => {
    const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIm0Hg5JkXcqJ6a9Ckvd0CZxBG6RP2MjZJPsN7v0hYyK release@example.net';
    const page = await open('settings');
    assert.ok(await page.getByLabel('Run viscumd').isChecked());
    assert.equal(await page.locator('.cbi-dynlist .item').innerText(), 'br-lan');
    const add = async (name, value) => {
        await page.getByLabel(name, { exact: true }).fill(value);
        await page.keyboard.press('Enter');
    };
    await add('LAN devices', 'phy*-ap0');
    await add('Claimable', '203.0.113.0/24');
    await add('Claimable', '2001:db8::7 8000-8100');
    await add('Trusted keys', key);
    await page.getByLabel('Lease').fill('45s');
    await page.getByLabel('Cost of a gigabyte').fill('4.50 EUR');
    await page.getByLabel('Metered uplink').check();
    await page.getByLabel('Measure the way to the cloud').selectOption('0');
    await page.getByLabel('Log level').selectOption('debug');
    await page.getByRole('button', { name: 'Save & Apply' }).click();
    await page.getByRole('dialog').waitFor();
    assert.equal(router.read('etc/config/viscum'), ["config viscum 'main'", "\toption enabled '1'", "\tlist lan 'br-lan'",
        "\tlist lan 'phy*-ap0'", "\tlist claimable '203.0.113.0/24'", "\tlist claimable '2001:db8::7 8000-8100'",
        `\tlist trust '${key}'`, "\toption lease '45s'", "\toption cost_per_gb '4.50 EUR'", "\toption metered '1'",
        "\toption measure_cloud '0'", "\toption log_level 'debug'", ''].join('\n'));
    const yaml = router.read('etc/viscum/viscum.yaml');
    for (const line of ['lan: ["br-lan", "phy*-ap0"]', '  - { address: "2001:db8::7", port: 8000-8100 }', 'lease: 45s', 'log_level: debug',
        `  - "${key}"`, 'cost_per_gb: 4.50 EUR', 'metered: true', 'measure_cloud: false']) {
        assert.ok(yaml.split('\n').includes(line), yaml);
    }
}));

test('settings: what the router would refuse is refused at once', on_router(async ({ router, open }) => {
    const page = await open('settings');
    const before = router.read('etc/config/viscum');
    for (const value of ['soon', '30', '30 s', '-1s', 'off;']) {
        await page.getByLabel('Lease').fill(value);
        await page.getByRole('button', { name: 'Save', exact: true }).click();
        await page.waitForFunction(() => luci.failure);
        assert.match(await page.evaluate(() => luci.failure), /^lease: A number and ms, s, m or h is needed/);
        await page.evaluate(() => delete luci.failure);
    }
    await page.getByLabel('Lease').fill('');
    for (const value of ['cheap', '4,50', '.5', '4.50 EUR/GB', '4.50  EUR']) {
        await page.getByLabel('Cost of a gigabyte').fill(value);
        await page.getByRole('button', { name: 'Save', exact: true }).click();
        await page.waitForFunction(() => luci.failure);
        assert.match(await page.evaluate(() => luci.failure), /^cost_per_gb: A price is needed/);
        await page.evaluate(() => delete luci.failure);
    }
    for (const value of ['ssh-rsa AAAAB3', 'ssh-ed25519', 'ssh-ed25519 AAAA"', "ssh-ed25519 AAAA ops'"]) {
        await page.getByLabel('Trusted keys', { exact: true }).fill(value);
        await page.keyboard.press('Enter');
    }
    for (const value of ['example.org', '203.0.113.0/24 http', '203.0.113.7 1-2-3', "203.0.113.7' x", '203.0.113.7  80', '999.0.0.0/8',
        '203.0.113.0/33', '203.0.113', '2001:db8::/129', '203.0.113.7 0', '203.0.113.7 90-80', '203.0.113.7 65536']) {
        await page.getByLabel('Claimable', { exact: true }).fill(value);
        await page.keyboard.press('Enter');
    }
    assert.equal(await page.locator('.cbi-dynlist .item').count(), 1);
    await page.getByLabel('Cost of a gigabyte').fill('');
    await page.locator('.cbi-dynlist .item').click();
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.waitForFunction(() => luci.failure);
    assert.match(await page.evaluate(() => luci.failure), /^lan: must not be empty/);
    assert.equal(router.read('etc/config/viscum'), before);
}));

test('a user who may only look finds no button, and the router would refuse it', on_router(async ({ router, open }) => {
    router.role = 'read';
    const page = await open('service', { query: '?name=plates' });
    assert.match(await text_of(page, '#viscum-service'), /UP HEALTHY SERVED HERE/);
    assert.equal(await page.locator('#view button').count(), 0);
    assert.match(await text_of(await open('overview')), /plates/);
    const deploy = await open('deploy');
    assert.equal(await deploy.locator('#view button').count(), 0);
    const said = await page.evaluate(() => L.require('viscum.api').then((api) => api.change('drain', 'plates')));
    assert.match(said.error.hint, /ubus code 6/);
    assert.ok(!router.asked.some((line) => line.includes('drain')));
}));
