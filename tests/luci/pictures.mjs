// SPDX-License-Identifier: GPL-2.0-only
// Pictures of the pages for docs/luci: VISCUM_SCREENSHOTS=1 node pictures.mjs, with the variables of the tests.
import { test } from 'node:test';
import { screenshot, skip, takes_screenshots } from '../browser/browser.mjs';
import { bad, button, good, narrow, on_router } from './bench.mjs';

if (!takes_screenshots) {
    skip('VISCUM_SCREENSHOTS is not 1');
}
const desk = { width: 960, height: 700 };

test('pictures', on_router(async ({ router, open }) => {
    const page = await open('overview', { size: desk });
    await page.locator('#viscum-findings details').waitFor();
    await screenshot(page, 'docs/luci/overview.png');

    const plates = await open('service', { query: '?name=plates', size: desk });
    await plates.locator('#viscum-log:not(:empty)').waitFor();
    await screenshot(plates, 'docs/luci/service.png');

    const deploy = await open('deploy', { size: desk });
    await deploy.fill('#viscum-text', bad);
    await button(deploy, 'Check').click();
    await deploy.locator('#viscum-mistakes').waitFor();
    await screenshot(deploy, 'docs/luci/deploy-mistakes.png');
    await deploy.fill('#viscum-text', good);
    await button(deploy, 'Check').click();
    await deploy.locator('#viscum-steps').waitFor();
    await screenshot(deploy, 'docs/luci/deploy.png');
    await screenshot(await open('settings', { size: desk }), 'docs/luci/settings.png');

    router.dark = true;
    const phone = await open('overview', { size: narrow });
    await phone.locator('#viscum-findings details').waitFor();
    await screenshot(phone, 'docs/luci/overview-phone-dark.png');
    const cache = await open('service', { query: '?name=cache', size: narrow });
    await cache.locator('#viscum-log:not(:empty)').waitFor();
    await screenshot(cache, 'docs/luci/service-phone-dark.png');
    await button(cache, 'Remove').click();
    await screenshot(cache, 'docs/luci/remove-phone-dark.png', { full: false });
}));
