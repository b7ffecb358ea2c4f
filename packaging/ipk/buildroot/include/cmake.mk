# SPDX-License-Identifier: GPL-2.0-only
# Nothing: what is packed has been built, and installed in PKG_INSTALL_DIR.
