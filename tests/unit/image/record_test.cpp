// SPDX-License-Identifier: GPL-2.0-only
#include <doctest/doctest.h>

#include "base/text.h"
#include "controller/image/image.h"

using namespace viscum;

namespace {

std::string digest(char digit) {
    return std::string(kImageDigits, digit);
}

Image full_image() {
    Image image;
    image.digest = digest('a');
    image.layers = {digest('1'), digest('2')};
    image.command = {"/bin/x", "with \"quotes\" and\nlines"};
    image.env = {{"A", "b=c"}, {"EMPTY", ""}};
    image.directory = "/srv";
    image.uid = 33;
    image.gid = 34;
    image.stop_signal = "QUIT";
    image.bytes = 1ULL << 40;
    return image;
}

}  // namespace

TEST_CASE("image record: what is written is read back, and nothing else is") {
    Image image = full_image();
    const auto read = decode_image(encode_image(image), image.digest);
    REQUIRE(read);
    CHECK(*read == image);
    image.uid = {};
    image.gid = {};
    image.stop_signal = "";
    CHECK(*decode_image(encode_image(image), image.digest) == image);
    std::string other = encode_image(image);
    other.insert(other.size() - 2, " ");
    CHECK_FALSE(decode_image(other, image.digest));
}

TEST_CASE("image record: every cut and every flipped byte is refused or reads as another record") {
    const Image image = full_image();
    const std::string text = encode_image(image);
    for (std::size_t at = 0; at < text.size(); ++at) {
        CHECK_FALSE(decode_image(text.substr(0, at), image.digest));
        std::string flipped = text;
        flipped[at] = static_cast<char>(flipped[at] ^ 0x20);
        const auto read = decode_image(flipped, image.digest);
        CHECK((!read || encode_image(*read) == flipped));
    }
}

TEST_CASE("image record: layers, users and paths that no import writes are refused") {
    const auto refused = [](auto change) {
        Image image = full_image();
        change(image);
        return !decode_image(encode_image(image), image.digest);
    };
    CHECK_FALSE(refused([](Image&) {}));
    CHECK(refused([](Image& image) { image.layers.clear(); }));
    CHECK(refused([](Image& image) { image.layers[1] = image.layers[0]; }));
    CHECK(refused([](Image& image) { image.layers[0] = "../../../../etc"; }));
    CHECK(refused([](Image& image) { image.digest = "../x"; }));
    CHECK(refused([](Image& image) { image.uid = 0; }));
    CHECK(refused([](Image& image) { image.gid = 0; }));
    CHECK(refused([](Image& image) { image.uid = {}; }));
    CHECK(refused([](Image& image) { image.uid = UINT32_MAX; }));
    CHECK(refused([](Image& image) { image.directory = "srv"; }));
    CHECK(refused([](Image& image) { image.stop_signal = "KILL"; }));
    CHECK(refused([](Image& image) { image.env["a=b"] = "c"; }));
    CHECK(refused([](Image& image) { image.command = {std::string("a\0b", 3)}; }));
    CHECK(refused([](Image& image) { image.command = {std::string(kMaxImageRecord, 'x')}; }));
}

TEST_CASE("image names: letters, digits and ._/:@-, and none that is a digest or leads elsewhere") {
    for (const char* name : {"a", "plates", "plates:1.0", "site.example/group/plates:v1", "a@b", "9-x"}) {
        CHECK(is_image_name(name));
        CHECK(image_name_of(image_name_file(name)) == name);
        CHECK(image_name_file(name).find('/') == std::string::npos);
    }
    for (const auto& name : {std::string(), std::string("."), std::string(".."), std::string("../x"), std::string("/x"),
                             std::string("-x"), std::string("a b"), std::string("a%b"), std::string("a=b"),
                             std::string("\xc3\xa9"), std::string("a\nb"), std::string(256, 'a'), digest('a')}) {
        CHECK_FALSE(is_image_name(name));
    }
    CHECK_FALSE(image_name_of("a:b"));
    CHECK_FALSE(image_name_of("lock~"));
    CHECK_FALSE(image_name_of(".."));
}
