// SPDX-License-Identifier: GPL-2.0-only
// po/templates/viscum.pot, of the texts in the sources: `node pot.mjs` writes it anew.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const app = resolve(import.meta.dirname ?? join(fileURLToPath(import.meta.url), '..'), '../../openwrt/luci-app-viscum');
export const pot = join(app, 'po/templates/viscum.pot');

/// The files below a folder of the application, in one order everywhere.
export function files(folder, suffix) {
    return readdirSync(join(app, folder), { recursive: true }).map((name) => join(app, folder, name))
        .filter((path) => path.endsWith(suffix)).sort();
}

function texts_of(path) {
    const source = readFileSync(path, 'utf8');
    const pattern = path.endsWith('.js') ? /\b_\(('(?:[^'\\]|\\.)*')/g : /"(?:title|description)": ("(?:[^"\\]|\\.)*")/g;
    return source.split('\n').flatMap((line, index) => [...line.matchAll(pattern)].map((match) => ({
        text: match[1].slice(1, -1).replaceAll("\\'", "'"), place: `${relative(app, path)}:${index + 1}`,
    })));
}

/// Each text with its places.
export function catalogue() {
    const found = new Map();
    for (const path of [...files('htdocs', '.js'), ...files('root', '.json')]) {
        for (const { text, place } of texts_of(path)) {
            found.set(text, [...(found.get(text) ?? []), place]);
        }
    }
    const entries = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([text, places]) =>
        `${places.map((place) => `#: applications/luci-app-viscum/${place}\n`).join('')}msgid ${JSON.stringify(text)}\nmsgstr ""\n`);
    return `# SPDX-License-Identifier: GPL-2.0-only\nmsgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8"\n\n${entries.join('\n')}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    writeFileSync(pot, catalogue());
}
