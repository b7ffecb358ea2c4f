// SPDX-License-Identifier: GPL-2.0-only
// What Viscum and libnftnl need of libmnl, by libmnl's own header, for the target whose Debian has no static one: the
// messages and attributes of linux/netlink.h. libnftnl writes messages for us and reads none: what it would run
// sockets and read answers with is refused (ENOSYS).
#include <errno.h>
#include <libmnl/libmnl.h>
#include <string.h>

static char* end_of(struct nlmsghdr* message) {
    return (char*)message + MNL_ALIGN(message->nlmsg_len);
}

/* Messages */

size_t mnl_nlmsg_get_payload_len(const struct nlmsghdr* message) {
    return message->nlmsg_len - MNL_NLMSG_HDRLEN;
}

void* mnl_nlmsg_get_payload(const struct nlmsghdr* message) {
    return (char*)message + MNL_NLMSG_HDRLEN;
}

struct nlmsghdr* mnl_nlmsg_put_header(void* buffer) {
    memset(buffer, 0, MNL_NLMSG_HDRLEN);
    struct nlmsghdr* message = buffer;
    message->nlmsg_len = MNL_NLMSG_HDRLEN;
    return message;
}

void* mnl_nlmsg_put_extra_header(struct nlmsghdr* message, size_t size) {
    char* at = end_of(message);
    memset(at, 0, MNL_ALIGN(size));
    message->nlmsg_len += MNL_ALIGN(size);
    return at;
}

struct nlmsghdr* mnl_nlmsg_next(const struct nlmsghdr* message, int* left) {
    *left -= (int)MNL_ALIGN(message->nlmsg_len);
    return (struct nlmsghdr*)((char*)message + MNL_ALIGN(message->nlmsg_len));
}

/* Attributes, got from */

uint16_t mnl_attr_get_type(const struct nlattr* attribute) {
    return attribute->nla_type & NLA_TYPE_MASK;
}

uint16_t mnl_attr_get_payload_len(const struct nlattr* attribute) {
    return (uint16_t)(attribute->nla_len - MNL_ATTR_HDRLEN);
}

void* mnl_attr_get_payload(const struct nlattr* attribute) {
    return (char*)attribute + MNL_ATTR_HDRLEN;
}

uint8_t mnl_attr_get_u8(const struct nlattr* attribute) {
    return *(const uint8_t*)mnl_attr_get_payload(attribute);
}

uint16_t mnl_attr_get_u16(const struct nlattr* attribute) {
    uint16_t value = 0;
    memcpy(&value, mnl_attr_get_payload(attribute), sizeof value);
    return value;
}

uint32_t mnl_attr_get_u32(const struct nlattr* attribute) {
    uint32_t value = 0;
    memcpy(&value, mnl_attr_get_payload(attribute), sizeof value);
    return value;
}

uint64_t mnl_attr_get_u64(const struct nlattr* attribute) {
    uint64_t value = 0;
    memcpy(&value, mnl_attr_get_payload(attribute), sizeof value);
    return value;
}

const char* mnl_attr_get_str(const struct nlattr* attribute) {
    return mnl_attr_get_payload(attribute);
}

bool mnl_attr_ok(const struct nlattr* attribute, int left) {
    return left >= (int)MNL_ATTR_HDRLEN && attribute->nla_len >= MNL_ATTR_HDRLEN && (int)attribute->nla_len <= left;
}

struct nlattr* mnl_attr_next(const struct nlattr* attribute) {
    return (struct nlattr*)((char*)attribute + MNL_ALIGN(attribute->nla_len));
}

/* Attributes, put */

void mnl_attr_put(struct nlmsghdr* message, uint16_t type, size_t length, const void* bytes) {
    struct nlattr* attribute = (struct nlattr*)end_of(message);
    char* payload = (char*)attribute + MNL_ATTR_HDRLEN;
    attribute->nla_type = type;
    attribute->nla_len = (uint16_t)(MNL_ATTR_HDRLEN + length);
    if (length > 0)
        memcpy(payload, bytes, length);
    memset(payload + length, 0, MNL_ALIGN(length) - length);
    message->nlmsg_len += MNL_ATTR_HDRLEN + MNL_ALIGN(length);
}

bool mnl_attr_put_check(struct nlmsghdr* message, size_t size, uint16_t type, size_t length, const void* bytes) {
    if (message->nlmsg_len + MNL_ATTR_HDRLEN + MNL_ALIGN(length) > size)
        return false;
    mnl_attr_put(message, type, length, bytes);
    return true;
}

void mnl_attr_put_u8(struct nlmsghdr* message, uint16_t type, uint8_t value) {
    mnl_attr_put(message, type, sizeof value, &value);
}

void mnl_attr_put_u16(struct nlmsghdr* message, uint16_t type, uint16_t value) {
    mnl_attr_put(message, type, sizeof value, &value);
}

void mnl_attr_put_u32(struct nlmsghdr* message, uint16_t type, uint32_t value) {
    mnl_attr_put(message, type, sizeof value, &value);
}

void mnl_attr_put_u64(struct nlmsghdr* message, uint16_t type, uint64_t value) {
    mnl_attr_put(message, type, sizeof value, &value);
}

void mnl_attr_put_str(struct nlmsghdr* message, uint16_t type, const char* text) {
    mnl_attr_put(message, type, strlen(text), text);
}

void mnl_attr_put_strz(struct nlmsghdr* message, uint16_t type, const char* text) {
    mnl_attr_put(message, type, strlen(text) + 1, text);
}

struct nlattr* mnl_attr_nest_start(struct nlmsghdr* message, uint16_t type) {
    struct nlattr* attribute = (struct nlattr*)end_of(message);
    attribute->nla_type = NLA_F_NESTED | type;
    message->nlmsg_len += MNL_ATTR_HDRLEN;
    return attribute;
}

void mnl_attr_nest_end(struct nlmsghdr* message, struct nlattr* start) {
    start->nla_len = (uint16_t)(end_of(message) - (char*)start);
}

/* Refused */

#define REFUSED(type, answer, name, ...) \
    type name(__VA_ARGS__) {             \
        errno = ENOSYS;                  \
        return answer;                   \
    }

#pragma GCC diagnostic ignored "-Wunused-parameter"
REFUSED(int, -1, mnl_attr_type_valid, const struct nlattr* attribute, uint16_t most)
REFUSED(int, -1, mnl_attr_validate, const struct nlattr* attribute, enum mnl_attr_data_type type)
REFUSED(int, -1, mnl_attr_parse, const struct nlmsghdr* message, unsigned offset, mnl_attr_cb_t each, void* data)
REFUSED(int, -1, mnl_attr_parse_nested, const struct nlattr* attribute, mnl_attr_cb_t each, void* data)
REFUSED(int, -1, mnl_cb_run, const void* bytes, size_t size, unsigned sequence, unsigned port, mnl_cb_t each,
        void* data)
REFUSED(struct mnl_socket*, NULL, mnl_socket_open, int bus)
REFUSED(int, -1, mnl_socket_bind, struct mnl_socket* socket, unsigned groups, pid_t pid)
REFUSED(int, -1, mnl_socket_close, struct mnl_socket* socket)
REFUSED(unsigned, 0, mnl_socket_get_portid, const struct mnl_socket* socket)
REFUSED(ssize_t, -1, mnl_socket_sendto, const struct mnl_socket* socket, const void* bytes, size_t size)
REFUSED(ssize_t, -1, mnl_socket_recvfrom, const struct mnl_socket* socket, void* bytes, size_t size)
REFUSED(struct mnl_nlmsg_batch*, NULL, mnl_nlmsg_batch_start, void* bytes, size_t size)
REFUSED(bool, false, mnl_nlmsg_batch_next, struct mnl_nlmsg_batch* batch)
REFUSED(void*, NULL, mnl_nlmsg_batch_head, struct mnl_nlmsg_batch* batch)
REFUSED(void*, NULL, mnl_nlmsg_batch_current, struct mnl_nlmsg_batch* batch)
REFUSED(size_t, 0, mnl_nlmsg_batch_size, struct mnl_nlmsg_batch* batch)
REFUSED(bool, true, mnl_nlmsg_batch_is_empty, struct mnl_nlmsg_batch* batch)

void mnl_nlmsg_batch_stop(struct mnl_nlmsg_batch* batch) {}
