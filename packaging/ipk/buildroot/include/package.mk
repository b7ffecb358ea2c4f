# SPDX-License-Identifier: GPL-2.0-only
# What the feed's Makefile says of a package, in files, instead of the package. To be given:
#
#   stage    PACKAGE, PKGARCH, PKG_INSTALL_DIR, SOURCE_DATE_EPOCH; TO, an empty directory, gets root/, control,
#            description, and of conffiles, preinst, postinst, prerm and postrm those that the package has
#   prepare  PKG_BUILD_DIR, which gets what OpenWrt's build is made of; TO/options gets CMake's options
#   compile  PKG_BUILD_DIR as prepare leaves it, and what include/bpf.mk asks for: the programs for the kernel, no others
VERSION:=$(PKG_VERSION)-r$(PKG_RELEASE)
said:=SECTION TITLE DEPENDS URL USERID MAINTAINER

# Before each package, that none has what the one before it said.
define Package/Default
  SECTION:=opt
  TITLE:=
  DEPENDS:=
  URL:=
  USERID:=
  MAINTAINER:=$(PKG_MAINTAINER)
endef

define BuildPackage
$(eval $(Package/Default))$(eval $(Package/$(1)))$(foreach name,$(said),$(eval $(name)_$(1):=$$($(name))))
endef

# Without conditions of the kernel's configuration (@), which no package can state, and without libraries, which are
# linked statically. One behind a condition of its own (+X:package) would need that configuration.
depends=$(filter-out lib%,$(patsubst +%,%,$(filter-out @%,$(DEPENDS_$(PACKAGE)))))
comma:=,
blank:=$(subst ,, )

# An empty field is left out.
field=$(if $(2),$(1): $(2)$(newline))
define newline


endef

define control
Package: $(PACKAGE)
Version: $(VERSION)
$(call field,Depends,$(subst $(blank),$(comma)$(blank),$(strip $(depends))))Source: openwrt/$(PKG_NAME)
SourceName: $(PKG_NAME)
License: $(PKG_LICENSE)
LicenseFiles: $(PKG_LICENSE_FILES)
Section: $(SECTION_$(PACKAGE))
$(call field,Require-User,$(USERID_$(PACKAGE)))SourceDateEpoch: $(SOURCE_DATE_EPOCH)
$(call field,URL,$(URL_$(PACKAGE)))$(call field,Maintainer,$(MAINTAINER_$(PACKAGE)))Architecture: $(PKGARCH)
endef

.PHONY: stage prepare compile
stage:
	$(if $(findstring :,$(depends)),$(error $(PACKAGE) depends on what a configuration decides: $(depends)))
	$(file >$(TO)/control,$(control))
	$(foreach part,description conffiles preinst postinst prerm postrm,$(if $(value Package/$(PACKAGE)/$(part)),\
		$(file >$(TO)/$(part),$(Package/$(PACKAGE)/$(part)))))
	$(call Package/$(PACKAGE)/install,$(TO)/root)

prepare:
	$(file >$(TO)/options,$(CMAKE_OPTIONS))
	$(Build/Prepare)

# What CMake would do is left out.
Build/Compile/Default:=
compile:
	$(Build/Compile)
