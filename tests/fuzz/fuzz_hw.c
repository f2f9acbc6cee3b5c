/* fuzz_hw.c: any bytes as a hardware configuration.
 *
 * What is accepted must survive being written and read again, as text and as a bitstream's name;
 * what is refused must say why.
 */
#include <vta/hw.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
    if (!holds)
        abort();
}

static void as_bitstream(const uint8_t *data, size_t size)
{
    char name[64];
    if (size >= sizeof name)
        return;
    memcpy(name, data, size);
    name[size] = '\0';

    struct vta_hw hw, again;
    struct vta_error error = { 0 };
    int rc = vta_hw_from_bitstream(&hw, name, VTA_TARGET_SIM, &error);
    if (rc != 0) {
        expect(error.code == rc && error.message[0] != '\0');
        return;
    }
    char printed[VTA_BITSTREAM_NAME];
    vta_hw_bitstream(&hw, printed);
    expect(vta_hw_from_bitstream(&again, printed, VTA_TARGET_SIM, NULL) == 0);
    expect(vta_hw_equal(&hw, &again));
}

static void expect_warning(void *context, const char *text)
{
    ++*(unsigned *)context;
    expect(text[0] != '\0');
    for (; *text != '\0'; text++)
        expect(*text >= ' ' && *text <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    as_bitstream(data, size);

    struct vta_hw hw, again;
    struct vta_error error = { 0 };
    unsigned warned = 0;
    const struct vta_hw_warnings warnings = { .line = expect_warning, .context = &warned };
    int rc = vta_hw_read_json(&hw, (const char *)data, size, &warnings, &error);
    expect(warned <= 64);
    if (rc != 0) {
        expect(error.code == rc && error.message[0] != '\0');
        return 0;
    }
    char *text = vta_hw_to_json(&hw);
    expect(text != NULL);
    expect(vta_hw_from_json(&again, text, strlen(text), NULL) == 0);
    expect(vta_hw_equal(&hw, &again));
    expect(hw.target == again.target && strcmp(hw.hw_ver, again.hw_ver) == 0);
    free(text);
    return 0;
}
