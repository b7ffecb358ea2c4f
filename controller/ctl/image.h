// SPDX-License-Identifier: GPL-2.0-only
// `viscumctl image`: viscum-image, run for the operator. What others packed is parsed there, and nowhere else.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controller/ctl/commands.h"

namespace viscum {

/// They write to our own stdout and stderr, and end with the program's exit status. `name` "": of the file; `limit`
/// "": the program's own.
int image_import(const Session& session, const std::string& file, const std::string& name, const std::string& limit);
int image_list(const Session& session);
/// An image that a service uses stays. Only viscumd knows which; without it, `force` is needed.
int image_remove(const Session& session, const std::string& name, bool force);
/// Removes images that lost their names to later ones, and that no service uses.
int image_prune(const Session& session);

/// The file or image-layout directory that `image` of the service file `file` stands for: there, relative to that file.
/// nullopt: there is none, so it is the name of an image.
std::optional<std::string> image_file(const std::string& image, const std::string& file);

/// Puts the image in `path` into the store under `name`. What it writes is kept from the console, and told where it
/// fails.
Response import_quietly(const Session& session, const std::string& path, const std::string& name);
/// Removes what an import has taken the name from and no service uses any more. Without a word: what stays for now goes
/// the next time.
void prune_quietly(const Session& session);

}  // namespace viscum
