// SPDX-License-Identifier: GPL-2.0-only
// viscum-keys: the documents' tables of keys, made of those that the parser goes by.
//   viscum-keys check DOCS     says where the documents of that folder say something else, or nothing
//   viscum-keys write DOCS     writes them anew, between <!-- keys: NAME --> and <!-- /keys -->
//   viscum-keys names NAME...  the keys of these tables, one a line
#include <fstream>
#include <iostream>
#include <optional>
#include <sstream>
#include <vector>

#include "base/text.h"
#include "controller/spec/keys.h"

namespace viscum {
namespace {

struct Document {
    std::string_view file;
    std::span<const keys::Table> tables;
};
constexpr std::array<Document, 2> kDocuments{
    {{"service-file.md", keys::kServiceFile}, {"configuration.md", keys::kConfiguration}}};

/// 1048576 -> "1,048,576".
std::string grouped(int number) {
    std::string text = std::to_string(number);
    for (auto at = text.size(); at > 3; at -= 3) {
        text.insert(at - 3, ",");
    }
    return text;
}

std::string code(const std::string& text) {
    return cat('`', text, '`');
}

/// A row's bounds, and what counts where the file says nothing.
struct Texts {
    std::string bounds;
    std::string standard;

    void operator()(std::monostate) {}
    void operator()(int most) { bounds = grouped(most); }
    void operator()(std::string_view value) { standard = value; }
    void operator()(const Range<int>& range) {
        bounds = cat(grouped(range.min), '-', grouped(range.max));
        standard = code(std::to_string(range.standard));
    }
    void operator()(const Range<Millis>& range) {
        bounds = cat(code(format_duration(range.min)), '-', code(format_duration(range.max)));
        standard = code(format_duration(range.standard));
    }
    void operator()(const Range<Bytes>& range) {
        bounds = cat(code(format_size(range.min)), '-', code(format_size(range.max)));
        standard = code(format_size(range.standard));
    }
    void operator()(const keys::Words& words) {
        for (const auto& word : split_words(words.all)) {
            bounds += cat(bounds.empty() ? "" : ", ", code(word));
        }
        standard = code(std::string(words.standard));
    }
};

/// `text` with `part` for its {}.
std::string with(std::string_view text, const std::string& part) {
    const auto at = text.find("{}");
    return at == std::string_view::npos ? std::string(text) : cat(text.substr(0, at), part, text.substr(at + 2));
}

std::string table_of(std::span<const keys::Key> keys) {
    std::string out = "| key | what | value | default | example |\n|---|---|---|---|---|\n";
    for (const auto& key : keys) {
        Texts texts;
        std::visit([&texts](const auto& bounds) { texts(bounds); }, key.bounds);
        out += cat("| `", key.name, "` | ", key.what, " | ", with(key.value, texts.bounds), " | ",
                   with(key.standard, texts.standard), " | ", key.example.empty() ? "" : code(std::string(key.example)),
                   " |\n");
    }
    return out;
}

std::optional<std::string> contents(const std::string& file) {
    std::ifstream stream(file);
    std::ostringstream text;
    text << stream.rdbuf();
    return stream ? std::optional(text.str()) : std::nullopt;
}

/// `text` with each table at its place; nullopt: a table has none, or a place is no table's, which is told.
std::optional<std::string> filled(const Document& document, const std::string& text) {
    constexpr std::string_view kBegin = "<!-- keys: ";
    constexpr std::string_view kEnd = "<!-- /keys -->\n";
    std::string out;
    std::size_t at = 0;
    std::size_t places = 0;
    for (std::size_t begin = 0; (begin = text.find(kBegin, at)) != std::string::npos; ++places) {
        const auto line_end = text.find('\n', begin);
        const auto end = text.find(kEnd, begin);
        const auto name = text.substr(begin + kBegin.size(), text.find(" -->", begin) - begin - kBegin.size());
        const auto table = std::ranges::find(document.tables, name, &keys::Table::name);
        if (end == std::string::npos || table == document.tables.end() ||
            text.find(cat(kBegin, name, " -->"), end) != std::string::npos) {
            std::cerr << document.file << ": '" << name << "' is no table, is there twice, or has no end\n";
            return std::nullopt;
        }
        out += cat(text.substr(at, line_end + 1 - at), table_of(table->keys));
        at = end;
    }
    if (places != document.tables.size()) {
        std::cerr << document.file << " has a place for " << places << " tables of " << document.tables.size() << '\n';
        return std::nullopt;
    }
    return out + text.substr(at);
}

int documents(bool write, const std::string& folder) {
    int code = 0;
    for (const auto& document : kDocuments) {
        const std::string file = cat(folder, '/', document.file);
        const auto text = contents(file);
        const auto wanted = text ? filled(document, *text) : std::nullopt;
        if (!wanted) {
            std::cerr << file << " cannot be used\n";
            code = 1;
        } else if (write && *wanted != *text) {
            std::ofstream(file) << *wanted;
        } else if (*wanted != *text) {
            std::cerr << file << " does not say what controller/spec/keys.h says: make docs-keys\n";
            code = 1;
        }
    }
    return code;
}

int names(std::span<const std::string> tables) {
    for (const auto& document : kDocuments) {
        for (const auto& table : document.tables) {
            for (const auto& key : table.keys) {
                std::cout << (std::ranges::find(tables, table.name) != tables.end() ? cat(key.name, '\n') : "");
            }
        }
    }
    return 0;
}

}  // namespace
}  // namespace viscum

int main(int count, char** words) {
    const std::vector<std::string> arguments(words + 1, words + count);
    if (arguments.size() >= 2 && arguments[0] == "names") {
        return viscum::names(std::span(arguments).subspan(1));
    }
    if (arguments.size() == 2 && (arguments[0] == "check" || arguments[0] == "write")) {
        return viscum::documents(arguments[0] == "write", arguments[1]);
    }
    std::cerr << "viscum-keys check DOCS | write DOCS | names TABLE...\n";
    return 2;
}
