# SPDX-License-Identifier: GPL-2.0-only
# What the feed's Makefile uses of OpenWrt's rules.mk: with this and include/, it runs where OpenWrt's build is not.
INCLUDE_DIR:=$(TOPDIR)/include

# Modes as there: of folders, programs, what all may read, and what root alone may read.
INSTALL_DIR:=install -d -m0755
INSTALL_BIN:=install -m0755
INSTALL_DATA:=install -m0644
INSTALL_CONF:=install -m0600
LN:=ln -sf
CP:=cp -fpR
TAR:=tar
