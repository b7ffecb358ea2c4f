# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2154  # variables of who sources it
# The collection by itself, without devices. Part of fleet_test.sh.

# copy_collection: as a checkout has it, but in a place where tools may write.
copy_collection() {
    mkdir -p "$dir/copy/ansible_collections" "$dir/home"
    cp -r "$fleet/../../packaging/ansible/viscum" "$dir/copy/ansible_collections/"
    cd "$dir/copy/ansible_collections/viscum/edge" || exit
    export HOME=$dir/home XDG_CACHE_HOME=$dir/home ANSIBLE_HOME=$dir/home ANSIBLE_COLLECTIONS_PATH=$dir/copy LC_ALL=C.UTF-8
}

lint() {
    local module said
    need ansible-lint ansible-doc shellcheck
    copy_collection
    said=$(ansible-lint --offline --nocolor -p playbooks/*.yml playbooks/tasks/*.yml roles/hotspot galaxy.yml meta/runtime.yml 2>&1) ||
        fail "ansible-lint: $said"
    # It can fail.
    printf -- '- hosts: all\n  tasks:\n    - raw: true\n' > playbooks/sample.yml
    ! ansible-lint --offline --nocolor -p playbooks/sample.yml > /dev/null 2>&1 || fail 'ansible-lint finds no mistake'
    said=$(shellcheck plugins/modules/*.sh) || fail "$said"
    for module in plugins/modules/*.sh; do
        module=$(basename "$module" .sh)
        said=$(ansible-doc -t module "viscum.edge.$module" 2>&1) || fail "ansible-doc: $said"
        [[ $said = *"ADDED IN: version"*EXAMPLES:* ]] || fail "what ansible-doc has of $module: $said"
    done
    sanity
}

# What of ansible-test downloads nothing.
sanity() {
    local tests=(action-plugin-docs ansible-doc compile empty-init future-import-boilerplate ignores line-endings
        metaclass-boilerplate no-assert no-illegal-filenames no-smart-quotes no-unicode-literals shebang shellcheck symlinks
        use-argspec-type-path use-compat-six) said
    command -v ansible-test > /dev/null || return 0
    rm playbooks/sample.yml
    said=$(ansible-test sanity "${tests[@]/#/--test=}" --python "$(ansible --version | sed -n 's/.*python version = \([0-9]*\.[0-9]*\).*/\1/p')" 2>&1) || fail "ansible-test: $said"
}

galaxy() {
    local said
    need ansible-galaxy ansible-playbook
    copy_collection
    said=$(ansible-galaxy collection build --output-path "$dir/built" . 2>&1) || fail "$said"
    said=$(ansible-galaxy collection install --offline -p "$dir/there" "$dir"/built/viscum-edge-*.tar.gz 2>&1) || fail "$said"
    diff -r . "$dir/there/ansible_collections/viscum/edge" > "$dir/difference" || true
    ! grep -vE '^Only in .*: (MANIFEST.json|FILES.json|galaxy.yml)$' "$dir/difference" || fail 'files are left out'
    cd "$dir" || exit
    said=$(ANSIBLE_COLLECTIONS_PATH=$dir/there ansible-playbook --syntax-check viscum.edge.rollout 2>&1) || fail "$said"
}
