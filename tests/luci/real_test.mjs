// SPDX-License-Identifier: GPL-2.0-only
// The pages over a viscumd that runs a service, in namespaces of its own: from deploying to removing, by clicks.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { need, skip } from '../browser/browser.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const file = `viscum: 1
name: plates
intercept:
  - { address: 203.0.113.10, port: 80 }
run:
  command: [/bin/busybox, httpd, -f, -v, -p, "80", -h, /usr/share]
health:
  http: { port: 80, path: /no-such-page, expect: 404 }
`;

if (process.env.VISCUM_LUCI_STAGE !== '1') {
    need('unshare', 'ip', 'busybox', 'jq');
    const programs = process.env.VISCUM_BIN_DIR ?? 'build/bin';
    if (process.getuid() !== 0) {
        skip('this needs root');
    }
    if (!existsSync(join(programs, 'viscumd')) || !existsSync('/bin/busybox')) {
        skip(`there is no viscumd in ${programs}, or no /bin/busybox`);
    }
    const ended = spawnSync('unshare', ['--mount', '--net', '--pid', '--fork', '--mount-proc', '--kill-child',
        join(here, 'real/stage.sh'), programs, process.execPath, fileURLToPath(import.meta.url)],
    { stdio: 'inherit', env: { ...process.env, VISCUM_LUCI_STAGE: '1' } });
    process.exit(ended.status ?? 1);
}

const { button, on_router, text_of, tick } = await import('./bench.mjs');

async function press(page, name) {
    await button(page, name).click();
    await page.getByRole('dialog').getByRole('button', { name, exact: true }).click();
    await page.locator('#viscum-answer .alert-message').waitFor();
    return text_of(page, '#viscum-answer');
}

test('a service is deployed, confirmed, drained and removed by clicks', on_router(async ({ open }) => {
    const empty = await open('overview');
    await empty.locator('#viscum-findings details').waitFor();
    assert.match(await text_of(empty, '#viscum-report'), /Grade (socket|classic) .*There are no services\. .*lan0/);

    const deploy = await open('deploy');
    await deploy.fill('#viscum-text', file.replace('203.0.113.10', '198.51.100.1'));
    await button(deploy, 'Check').click();
    await deploy.locator('#viscum-result .danger').waitFor();
    assert.match(await text_of(deploy, '#viscum-result'), /198\.51\.100\.1/);
    await deploy.fill('#viscum-text', file);
    await button(deploy, 'Check').click();
    await deploy.locator('#viscum-steps', { hasText: 'launch plates' }).waitFor();
    await deploy.getByLabel('Taken back').selectOption('600');
    await button(deploy, 'Deploy').click();
    await deploy.locator('#viscum-result .success', { hasText: 'plates: healthy after' }).waitFor();

    const page = await open('service', { query: '?name=plates' });
    assert.match(await text_of(page, '#viscum-service'), /UP HEALTHY SERVED HERE Waits to be confirmed .*203\.0\.113\.10:80\/tcp/);
    await page.locator('#viscum-log', { hasText: 'response:404' }).waitFor();
    await page.locator('#viscum-audit summary').click();
    await page.locator('#viscum-audit p', { hasText: 'of 10' }).waitFor();
    assert.match(await press(page, 'Confirm'), /plates/);
    await button(page, 'Confirm').waitFor({ state: 'detached' });
    assert.match(await press(page, 'Drain'), /cloud/);
    await button(page, 'Resume').waitFor();
    await tick(empty);
    assert.match(await text_of(empty, '#viscum-report'), /plates UP drained by the operator HEALTHY DRAINED/);
    await press(page, 'Remove');
    await page.getByRole('link', { name: 'To the overview' }).waitFor();
    await tick(empty);
    assert.match(await text_of(empty, '#viscum-report'), /There are no services\./);
}, join(here, 'real')));
