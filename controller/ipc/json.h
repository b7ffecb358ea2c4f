// SPDX-License-Identifier: GPL-2.0-only
// JSON as the control socket needs it: texts, whole numbers, booleans, lists and objects.
//
// One function of a struct names its fields for both directions: it calls io.field("name", member) for each, where io
// is a JsonOut or a JsonIn. The library that reads the text is known to json.cpp alone.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/text.h"

namespace viscum {

/// `text` in quotes; bytes that are not UTF-8 become U+FFFD.
std::string json_quote(std::string_view text);

struct JsonMember;

/// A JSON text as a tree. A number is int64 when it is negative, else uint64.
struct JsonValue {
    using List = std::vector<JsonValue>;
    using Object = std::vector<JsonMember>;
    std::variant<std::monostate, bool, std::int64_t, std::uint64_t, std::string, List, Object> value;

    /// The member of an object; null where there is none.
    [[nodiscard]] const JsonValue* member(std::string_view name) const;
};

struct JsonMember {
    std::string name;
    JsonValue value;
};

/// Nesting deeper than this, or more values, are refused while they are read: "[[[[…" costs no memory.
constexpr std::size_t kMaxJsonDepth = 16;
constexpr std::size_t kMaxJsonValues = 200'000;

/// Refused: text that is not JSON or not UTF-8, fractions, and a name that occurs twice in one object.
Result<JsonValue> parse_json(std::string_view text);

/// Matches `T` and `const T`, so that one field list serves reading and writing.
template <class A, class T>
concept FieldsOf = std::is_same_v<std::remove_const_t<A>, T>;

/// Writes an object, its fields in the order in which they are given.
class JsonOut {
public:
    void field(std::string_view name, const std::string& value) { member(name, json_quote(value)); }
    void field(std::string_view name, bool value) { member(name, value ? "true" : "false"); }
    void field(std::string_view name, std::int64_t value) { member(name, std::to_string(value)); }
    void field(std::string_view name, std::uint64_t value) { member(name, std::to_string(value)); }
    void field(std::string_view name, const std::vector<std::string>& value);
    void field(std::string_view name, const std::map<std::string, std::string>& value);
    /// A list of objects, each written by its own `fields`, which argument-dependent lookup finds.
    template <class T>
    void field(std::string_view name, const std::vector<T>& value) {
        std::string list = "[";
        for (const T& item : value) {
            JsonOut object;
            fields(object, item);
            list += list.size() > 1 ? "," : "";
            list += std::move(object).text();
        }
        member(name, list + "]");
    }
    /// `json` is a JSON text already.
    void member(std::string_view name, std::string_view json);
    [[nodiscard]] std::string text() && { return std::move(text_) + "}"; }

private:
    std::string text_ = "{";
};

/// Reads the fields of an object. The first field that is missing or of another type is the error; what follows is
/// left as it was. Fields that nobody asks for are passed over, unless only_known() is asked.
class JsonIn {
public:
    explicit JsonIn(const JsonValue& value) : object_(std::get_if<JsonValue::Object>(&value.value)), value_(value) {
        if (object_ == nullptr) {
            fail("not an object");
        }
    }
    void field(std::string_view name, std::string& target) { take(name, target); }
    void field(std::string_view name, bool& target) { take(name, target); }
    void field(std::string_view name, std::uint64_t& target) { take(name, target); }
    void field(std::string_view name, std::int64_t& target);
    void field(std::string_view name, std::vector<std::string>& target);
    void field(std::string_view name, std::map<std::string, std::string>& target);
    template <class T>
    void field(std::string_view name, std::vector<T>& target) {
        const auto* list = find<JsonValue::List>(name);
        for (std::size_t i = 0; list != nullptr && i < list->size() && !error_; ++i) {
            T item{};
            JsonIn object((*list)[i]);
            fields(object, item);
            if (const auto status = object.status(); !status) {
                fail(cat("field '", name, "': ", status.error().what));
            }
            target.push_back(std::move(item));
        }
    }
    /// Makes a field that was not asked for an error.
    void only_known();
    /// What field lists say of a value that has the right type and is still wrong.
    void fail(std::string what);
    [[nodiscard]] Status status() const;

private:
    /// The member if it holds a T; else the error is set.
    template <class T>
    const T* find(std::string_view name) {
        ++asked_;
        const JsonValue* found = error_ ? nullptr : value_.member(name);
        if (found == nullptr) {
            fail(cat("field '", name, "' is missing"));
            return nullptr;
        }
        const T* held = std::get_if<T>(&found->value);
        if (held == nullptr) {
            fail(cat("field '", name, "' has another type"));
        }
        return held;
    }
    template <class T>
    void take(std::string_view name, T& target) {
        if (const T* held = find<T>(name)) {
            target = *held;
        }
    }

    const JsonValue::Object* object_;
    const JsonValue& value_;
    std::size_t asked_ = 0;
    std::optional<Error> error_;
};

}  // namespace viscum
