// SPDX-License-Identifier: GPL-2.0-only
// A UCI file as ubus has it, {section: {option: text or list of texts}}, and back. Values hold no quotes here.

/// `.type` of each section is its kind; a section without a name is passed over.
export function read_uci(text) {
    const sections = {};
    let section = {};
    for (const line of text.split('\n')) {
        const [, word, key, value] = /^\s*(\w+)\s+(\S+)(?:\s+'([^']*)')?\s*$/.exec(line) ?? [];
        if (word === 'config') {
            section = sections[value] = { '.type': key };
        } else if (word === 'option') {
            section[key] = value;
        } else if (word === 'list') {
            section[key] = [...(section[key] ?? []), value];
        }
    }
    return sections;
}

export function write_uci(sections) {
    const lines = [];
    for (const [name, options] of Object.entries(sections)) {
        lines.push(`config ${options['.type']} '${name}'`);
        for (const [key, value] of Object.entries(options).filter(([key]) => key !== '.type')) {
            lines.push(...[].concat(value).map((one) => `\t${Array.isArray(value) ? 'list' : 'option'} ${key} '${one}'`));
        }
    }
    return `${lines.join('\n')}\n`;
}
