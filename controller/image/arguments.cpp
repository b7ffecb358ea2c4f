// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/arguments.h"

#include "base/text.h"

namespace viscum {
namespace {

/// "512M": digits and K, M or G.
std::optional<std::uint64_t> parse_size(std::string_view text) {
    constexpr std::string_view kUnits = "KMG";
    const auto unit = text.empty() ? std::string_view::npos : kUnits.find(text.back());
    if (unit == std::string_view::npos) {
        return {};
    }
    const auto number = parse_decimal(text.substr(0, text.size() - 1), 1'000'000);
    return number && *number > 0 ? std::optional(*number << (10 * (unit + 1))) : std::nullopt;
}

/// "NAME=PATH"
std::string take_file(Arguments& args, const std::string& value) {
    const auto equals = value.find('=');
    if (equals == std::string::npos) {
        return cat("'", value, "' is no NAME=PATH");
    }
    args.bundle.files.emplace_back(value.substr(0, equals), value.substr(equals + 1));
    return "";
}

std::string take_image(Arguments& args, const std::string& value) {
    const auto equals = value.find('=');
    if (equals == std::string::npos) {
        return cat("'", value, "' is no NAME=PATH");
    }
    args.bundle.image_name = value.substr(0, equals);
    args.bundle.image_file = value.substr(equals + 1);
    return is_image_name(args.bundle.image_name) ? "" : cat("'", args.bundle.image_name, "' is no name for an image");
}

std::string take_bundle_option(Arguments& args, std::string_view option, const std::string& value) {
    if (option == "--service") {
        args.bundle.service = value;
    } else if (option == "--bundle-version") {
        args.bundle.version = value;
        return is_bundle_version(value)
                   ? ""
                   : cat("'", value, "' is no version: one to four numbers with points between, as in 1.12.0");
    } else if (option == "--file") {
        return take_file(args, value);
    } else if (option == "--image") {
        return take_image(args, value);
    } else if (option == "--platform") {
        args.bundle.platform = value;
    } else if (option == "--key") {
        args.key = value;
    } else if (option == "--drained") {
        args.drained.push_back(value);
    } else if (option == "--parts") {
        args.parts = value;
    } else if (option == "--trust") {
        const auto key = parse_public_key(value);
        if (!key) {
            return cat("'", value, "': ", key.error().what);
        }
        args.arrival.trusted.push_back(*key);
    } else {
        return cat("there is no option '", option, "'");
    }
    return "";
}

std::string take_option(Arguments& args, std::string_view option, const std::string* value) {
    if (value == nullptr) {
        return cat(option, " needs a value");
    }
    if (option == "--instance") {
        args.instance = *value;
    } else if (option == "--name") {
        args.request.name = *value;
        return is_image_name(*value) ? "" : cat("'", *value, "' is no name for an image");
    } else if (option == "--in-use") {
        args.in_use.insert(*value);
        return is_image_digest(*value) ? "" : cat("'", *value, "' is no digest of an image");
    } else if (option == "--limit") {
        const auto size = parse_size(*value);
        args.request.max_bytes = args.arrival.max_bytes = size.value_or(0);
        return size ? "" : cat("'", *value, "' is no size");
    } else {
        return take_bundle_option(args, option, *value);
    }
    return "";
}

}  // namespace

std::string read_arguments(const std::vector<std::string>& words, Arguments& args) {
    bool options = true;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (!options || !word.starts_with('-') || word == "-") {
            args.words.push_back(word);
        } else if (word == "--") {
            options = false;
        } else if (word == "--json") {
            args.json = true;
        } else if (word == "--allow-downgrade") {
            args.arrival.allow_downgrade = true;
        } else if (word == "--help" || word == "-h") {
            args.help = true;
        } else if (word == "--version") {
            args.version = true;
        } else {
            const auto equals = word.find('=');
            const std::string joined = equals == std::string::npos ? "" : word.substr(equals + 1);
            const std::string* value = equals != std::string::npos ? &joined
                                       : i + 1 < words.size()      ? &words[++i]
                                                                   : nullptr;
            if (auto mistake = take_option(args, word.substr(0, equals), value); !mistake.empty()) {
                return mistake;
            }
        }
    }
    return "";
}

}  // namespace viscum
