/* test_vtactl.c: the tool as people and scripts meet it: what it prints where, and how it exits.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vta/build.h>
#include <vta/compile.h>
#include <vta/module.h>

#include "tests/integration/daemon.h"
#include "tests/integration/modules.h"
#include "tool.h"

/* A scratch folder with add.vta, and a.bin and b.bin for its inputs; the tests run in it. */
static struct daemon daemon_;
static int32_t a[ADD_NUMBERS], b[ADD_NUMBERS];

static void start(void)
{
    uint8_t *bytes;
    size_t nbytes;

    daemon_init(&daemon_);
    cr_assert_eq(chdir(daemon_.dir), 0);
    make_module(1, &bytes, &nbytes);
    write_scratch("add.vta", bytes, nbytes);
    free(bytes);
    for (int i = 0; i < (int)ADD_NUMBERS; i++) {
        a[i] = 3 * i;
        b[i] = 5 - i;
    }
    write_scratch("a.bin", a, sizeof a);
    write_scratch("b.bin", b, sizeof b);
}

static void stop(void)
{
    cr_assert_eq(chdir("/"), 0);
    daemon_clear(&daemon_);
}

TestSuite(vtactl, .init = start, .fini = stop);

/* ---- Usage --------------------------------------------------------------------------------- */

Test(vtactl, wrong_usage_is_told_and_ends_with_status_2)
{
    says(run_to(2, "").err, "command");
    says(run_to(2, "pin --local").err, "did you mean 'ping'");
    says(run_to(2, "ping --locl").err, "did you mean '--local'");
    says(run_to(2, "ping --check --local").err, "ping does not take --check");
    says(run_to(2, "ping --count --local").err, "--count");
    says(run_to(2, "ping --count 0 --local").err, "'0'");
    says(run_to(2, "ping --count").err, "needs a value");
    says(run_to(2, "ping --local=yes").err, "takes no value");
    says(run_to(2, "ping --port 70000").err, "65535");
    says(run_to(2, "ping --timeout soon").err, "'soon'");
    says(run_to(2, "ping -x").err, "'-x'");
    says(run_to(2, "upload --local").err, "upload FILE");
    says(run_to(2, "ls one two --local").err, "vtactl ls");
    cr_assert_str_eq(run_to(2, "upload --local --json").out, "");
}

Test(vtactl, help_and_version_need_no_daemon)
{
    says(run_to(0, "--help").out, "counters");
    says(run_to(0, "-h").out, "--host");
    says(run_to(0, "run --help").out, "--check");
    cr_assert_null(strstr(run_to(0, "ping --help").out, "--check"));
    cr_assert_null(strstr(run_to(0, "info --help").out, "\nOptions:\n")); /* it has none */
    cr_assert_str_eq(run_to(0, "--version").out, "vtactl " VTAD_VERSION "\n");
}

Test(vtactl, daemon_that_is_not_there_is_a_failure_with_its_address)
{
    says(run_to(1, "ping --host unix:/none/socket").err, "unix:/none/socket");
    cJSON *json = run_json(1, "ping --json --host unix:/none/socket");
    cr_assert_str_eq(text(cJSON_GetObjectItem(json, "error"), "code"), "io");
    cJSON_Delete(json);
}

/* ---- run ----------------------------------------------------------------------------------- */

static void expect_sums(const char *name)
{
    int8_t out[ADD_NUMBERS + 1];
    FILE *file = fopen(name, "rb");

    cr_assert_not_null(file, "%s", name);
    cr_assert_eq(fread(out, 1, sizeof out, file), ADD_NUMBERS);
    fclose(file);
    for (int i = 0; i < (int)ADD_NUMBERS; i++)
        cr_assert_eq(out[i], (int8_t)(a[i] + b[i]), "number %d", i);
}

Test(vtactl, runs_a_module_file_with_inputs_and_outputs_in_files)
{
    struct outcome outcome =
        run_to(0, "run --local add.vta add a.bin b.bin --out out=one.bin --stats --check");

    expect_sums("one.bin");
    says(outcome.out, "identical");
    says(outcome.out, "\nExecution statistics:\n");
    says(outcome.out, "\tinp_load_nbytes :                0\n");
    says(outcome.out, "\tout_store_nbytes:               64\n");
    run_to(0, "run --local add.vta add b=b.bin a.bin --out out=two.bin");
    expect_sums("two.bin");
}

Test(vtactl, random_inputs_follow_the_seed)
{
    char one[64], two[64], three[64];

    run_to(0, "run --local add.vta add --random --out out=one.bin");
    run_to(0, "run --local add.vta add --random --seed 0 --out out=two.bin");
    run_to(0, "run --local add.vta add --random --seed 1 --out out=three.bin --check");
    slurp("one.bin", one, sizeof one);
    slurp("two.bin", two, sizeof two);
    slurp("three.bin", three, sizeof three);
    cr_assert_arr_eq(one, two, sizeof one - 1);
    cr_assert_arr_neq(one, three, sizeof one - 1);
}

Test(vtactl, run_refuses_inputs_that_do_not_fit)
{
    says(run_to(1, "run --local add.vta add a.bin").err, "no input for b");
    says(run_to(1, "run --local add.vta add a.bin b.bin a.bin").err, "a.bin");
    says(run_to(1, "run --local add.vta add a=add.vta b.bin").err, "add.vta");
    says(run_to(1, "run --local add.vta add a.bin none.bin").err, "none.bin: No such file");
    says(run_to(1, "run --local add.vta add --random --out sum=x").err, "sum=x");
    says(run_to(1, "run --local add.vta add --random --out a=x").err, "does not write a");
    says(run_to(1, "run --local add.vta ad --random").err, "did you mean 'add'?");
    says(run_to(1, "run --local none.vta add --random").err, "none.vta: neither a file here nor");
}

/* The thing, the limit and the value; never how the tool asks the daemon. */
Test(vtactl, mistakes_are_told_in_the_users_words)
{
    static const struct {
        const char *command, *says;
    } mistakes[] = {
        { "run --local none.vta add", "none.vta: neither a file here nor a module that the "
                                      "session sees\n" },
        { "run --local folder add", "folder: neither a file here nor a module that the session "
                                    "sees; it is no regular file\n" },
        { "run --local cut.vta add", "cut.vta: cut short: 700 bytes, at least " },
        { "run --local a.bin add", "a.bin: not a module file: " },
        { "run --local --hw wide.json add.vta add", "add.vta: hardware differs: LOG_BLOCK is 5 "
                                                    "here, 4 is wanted (" },
        { "run --local add.vta nothing", "add.vta: no function 'nothing'\n" },
        { "run --local add.vta ad", "add.vta: no function 'ad': did you mean 'add'?\n" },
        { "run --local add.vta add", "add: no input for a: give a=FILE, or --random\n" },
        { "run --local add.vta add a.bin", "add: no input for b: give b=FILE, or --random\n" },
        { "run --local add.vta add cut.vta b.bin", "a: cut.vta: has 700 bytes, 256 are needed\n" },
        { "run --local add.vta add short.bin b.bin", "a: short.bin: has 3 bytes, 256 are "
                                                     "needed\n" },
        { "run --local add.vta add a=none.bin b.bin", "a: none.bin: No such file or directory\n" },
        { "run --local add.vta add a=a.bin a=b.bin", "a=b.bin: a has a file already\n" },
        { "run --local add.vta add c=a.bin",
          "c=a.bin: expected PARAM=FILE with a parameter of add: "
          "a, b, out\n" },
        { "run --local add.vta add --random --out sum=x", "--out sum=x: expected PARAM=FILE with a "
                                                          "parameter of add: a, b, out\n" },
        { "run --local add.vta add --random --out out", "--out out: expected PARAM=FILE with a "
                                                        "parameter of add: a, b, out\n" },
        { "run --local add.vta add --random --out out=", "--out out=: there is no file after the "
                                                         "'='\n" },
        { "run --local add.vta add --random --out a=x", "--out a=x: add does not write a\n" },
        { "run --local add.vta add --random --out out=x --out out=y", "--out out=y: out goes to x "
                                                                      "already\n" },
        { "run --local add.vta add --random --out out=no/x", "no/x: No such file or directory\n" },
        { "run --local add.vta add --random --profile fast", "there is no timing profile 'fast'; "
                                                             "known are " },
        { "bench --local add.vta add --clock sun", "the clock is 'host' or 'board', not 'sun'\n" },
        { "bench --local add.vta add --number 4000000000", "4000000000 × 3 runs pass the limit "
                                                           "(evaluations), 10000000\n" },
        { "upload --local none.vta", "none.vta: No such file or directory\n" },
        { "upload --local folder", "folder: not a regular file\n" },
        { "upload --local add.vta a/b", "expected a module's name without '/', got 'a/b'\n" },
        { "download --local none", "no module 'none'\n" },
        { "rm --local none", "no module 'none'\n" },
        { "info --local --hw a.bin", "a.bin: " },
        { "info --local --hw none.json", "none.json: No such file or directory\n" },
        { "info --host unix:none.sock", "unix:none.sock: cannot connect: No such file or "
                                        "directory\n" },
    };
    static uint8_t module[700];
    FILE *file = fopen("add.vta", "rb");

    cr_assert_eq(fread(module, 1, sizeof module, file), sizeof module);
    fclose(file);
    write_scratch("cut.vta", module, sizeof module);
    write_scratch("short.bin", "abc", 3);
    write_scratch("wide.json", "{\"LOG_BLOCK\": 5}", 16);
    cr_assert_eq(mkdir("folder", 0700), 0);
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct outcome outcome = run_to(1, mistakes[i].command);
        cr_expect_eq(strncmp(outcome.err, mistakes[i].says, strlen(mistakes[i].says)), 0,
                     "vtactl %s: expected: %s\ngot: %s", mistakes[i].command, mistakes[i].says,
                     outcome.err);
    }
    cr_assert_eq(rmdir("folder"), 0);
}

Test(vtactl, refused_program_is_told_in_the_services_own_words)
{
    struct vta_module_image image;
    struct vta_error error;

    cr_assert_eq(vta_module_open(&image, "add.vta", NULL), 0);
    image.kernels[0].insns[0] |= 1 << 3; /* pop_prev: waits for a token from load */
    cr_assert_eq(vta_module_save(&image, "bad.vta", &error), 0, "%s", error.message);
    vta_module_image_clear(&image);

    struct outcome outcome = run_to(1, "run --local bad.vta add --random");
    cr_assert_eq(strncmp(outcome.err, "bad.vta: add: refused: deadlock\n", 32), 0, "%s",
                 outcome.err);
    says(outcome.err, "insn 0");
    cJSON *json = run_json(1, "run --local bad.vta add --random --json");
    const cJSON *told = cJSON_GetObjectItem(json, "error");
    cr_assert_str_eq(text(told, "code"), "refused-deadlock");
    cr_assert_eq(strncmp(text(told, "message"), outcome.err, strlen(text(told, "message"))), 0);
    cJSON_Delete(json);
}

/* racing.vta: a GEMM that does not wait for its loads. */
static void write_racing(void)
{
    const struct vta_tensor_type type = { { VTA_DTYPE_INT, 8 }, 1, { 256 } };
    const struct vta_uop_index uop = { 0, 0, 0 };
    const struct vta_uop_kernel one = { NULL, 0, &uop, 1 };
    struct vta_module_image image = { 0 };
    struct vta_kernel kernel;
    struct vta_error error;

    vta_hw_default(&image.hw);
    struct vta_build *build = vta_build_new(&image.hw, "racing");
    int data = vta_build_param(build, "data", &type, VTA_MEM_INP, VTA_ACCESS_READ);
    int weight = vta_build_param(build, "weight", &type, VTA_MEM_WGT, VTA_ACCESS_READ);
    vta_build_gemm(build, &one, true);
    vta_build_load(build, data, 0, 1, 1, 1, NULL, 0, VTA_MEM_INP);
    vta_build_load(build, weight, 0, 1, 1, 1, NULL, 0, VTA_MEM_WGT);
    vta_build_gemm(build, &one, false);
    cr_assert_eq(vta_build_finish(build, &kernel, &error), 0, "%s", error.message);
    cr_assert_eq(vta_module_image_add(&image, &kernel, &error), 0);
    cr_assert_eq(vta_module_save(&image, "racing.vta", &error), 0, "%s", error.message);
    vta_module_image_clear(&image);
}

Test(vtactl, hazards_of_a_module_are_told_and_it_runs)
{
    write_racing();
    struct outcome outcome = run_to(0, "run --local racing.vta racing --random");
    says(outcome.err, "racing.vta: racing: race: INP 0: insn 2 LOAD writes what insn 5 GEMM reads");
    says(outcome.err, "racing.vta: racing: race: WGT 0: insn 3 LOAD writes what insn 5 GEMM reads");
    cr_assert_null(strstr(outcome.out, "race:"), "%s", outcome.out);
    cJSON *json = run_json(0, "run --local --json racing.vta racing --random");
    cr_assert_eq(number(json, "hazards_found"), 2);
    cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "hazards")), 2);
    cJSON_Delete(json);
    cr_assert_str_eq(run_to(0, "run --local add.vta add a.bin b.bin").err, "");
}

Test(vtactl, trace_of_a_run_has_a_slice_for_each_instruction)
{
    static char text[1 << 16];

    run_to(0, "run --local add.vta add a.bin b.bin --trace add.json");
    slurp("add.json", text, sizeof text);
    cJSON *json = cJSON_Parse(text);
    cr_assert_not_null(json, "%s", text);
    cr_assert_gt(cJSON_GetArraySize(cJSON_GetObjectItem(json, "traceEvents")), 20);
    says(text, "\"ALU add\"");
    says(text, "\"program\":\"add\"");
    cJSON_Delete(json);
    says(run_to(1, "run --local add.vta add a.bin b.bin --trace a.json --profile none").err,
         "choose one with --profile");
    says(run_to(0, "run --local add.vta add a.bin b.bin --profile none").out, "no timing profile");
    says(run_to(1, "run --local add.vta add a.bin b.bin --trace no/such/folder").err,
         "no/such/folder");
}

Test(vtactl, json_is_one_value_for_every_command)
{
    cJSON *json = run_json(0, "run --local add.vta add a.bin b.bin --repeat 3 --check --json");
    cr_assert_str_eq(text(json, "function"), "add");
    cr_assert_str_eq(text(json, "check"), "identical");
    cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "wall_ns")), 3);
    cr_assert_eq(number(cJSON_GetObjectItem(json, "counters"), "out_store_nbytes"), ADD_NUMBERS);
    cJSON_Delete(json);
    json = run_json(0, "bench --local add.vta add --repeat 4 --number 2 --json");
    cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "seconds")), 4);
    cr_assert(number(json, "min") > 0 && number(json, "min") <= number(json, "max"));
    cJSON_Delete(json);
    json = run_json(0, "info --local --json");
    cr_assert_str_eq(text(json, "bitstream"), "1x16_i8w8a32_15_15_18_17");
    cr_assert_eq(number(cJSON_GetObjectItem(json, "hardware"), "LOG_BLOCK"), 4);
    cJSON_Delete(json);
    json = run_json(0, "ping --local --json -c5");
    cr_assert_eq(number(json, "count"), 5);
    cr_assert(number(json, "min_ns") <= number(json, "mean_ns"));
    cJSON_Delete(json);
    json = run_json(0, "counters --local --clear --json");
    cr_assert_eq(number(json, "gemm_counter"), 0);
    cJSON_Delete(json);
    json = run_json(0, "ls --local --json");
    cr_assert(cJSON_IsArray(json));
    cJSON_Delete(json);
}

Test(vtactl, describes_a_bitstream_that_is_a_file)
{
    static const char bitstream[] = "\x00\x09\x0f\xf0\x0f\xf0\x0f\xf0\x0f\xf0\x00\x00\x01"
                                    "a\x00\x04vta\0b\x00\x03"
                                    "7z\0c\x00\x0b"
                                    "2019/07/09\0d\x00\x09"
                                    "12:34:56\0e\x00\x00\x00\x10";
    write_scratch("vta.bit", bitstream, sizeof bitstream - 1);
    says(run_to(0, "info --local --bitstream ./vta.bit").err,
         "./vta.bit: design 'vta', part '7z', made 2019/07/09 12:34:56, 16 bytes");
    says(run_to(0, "info --local --bitstream ./vta.bit").out, "1x16_i8w8a32_15_15_18_17");
    write_scratch("vta.bit", "text", 4);
    says(run_to(0, "info --local --bitstream vta.bit").err, "vta.bit: no bitstream");
    write_scratch("1x8_i8w8a32_12_13_14_15.bit", "text", 4);
    says(run_to(0, "info --local --bitstream 1x8_i8w8a32_12_13_14_15.bit").out, "1x8_i8w8a32_12");
}

Test(vtactl, says_what_it_passes_over_of_a_configuration)
{
    static const char config[] = "{\"LOG_BLOCK\": 4, \"LOG_BLOK\": 3}";
    write_scratch("hw.json", config, sizeof config - 1);
    says(run_to(0, "info --local --hw hw.json").err,
         "hw.json: unknown key 'LOG_BLOK' is ignored; the nearest known one is LOG_BLOCK");
}

Test(vtactl, local_board_has_the_hardware_of_a_file)
{
    static const char config[] = "{\"LOG_BLOCK\": 3, \"LOG_INP_BUFF_SIZE\": 13, "
                                 "\"LOG_WGT_BUFF_SIZE\": 16, \"LOG_ACC_BUFF_SIZE\": 16}";

    write_scratch("hw.json", config, sizeof config - 1);
    says(run_to(0, "info --local --hw hw.json").out, "1x8_i8w8a32_15_13_16_16");
    says(run_to(1, "run --local --hw hw.json add.vta add --random").err, "LOG_BLOCK");
    says(run_to(1, "info --local --hw none.json").err, "none.json");
}

Test(vtactl, daemons_board_gets_the_hardware_of_a_file_or_a_bitstream_for_one_command)
{
    static const char config[] = "{\"LOG_BLOCK\": 3, \"LOG_INP_BUFF_SIZE\": 13, "
                                 "\"LOG_WGT_BUFF_SIZE\": 16, \"LOG_ACC_BUFF_SIZE\": 16}";
    char command[128];

    write_scratch("hw.json", config, sizeof config - 1);
    daemon_start(&daemon_, NULL);
    snprintf(command, sizeof command, "info --port %d --hw hw.json", daemon_.port);
    says(run_to(0, command).out, "1x8_i8w8a32_15_13_16_16");
    snprintf(command, sizeof command, "info --port %d --bitstream 4x8_i8w8a32_14_15_16_17",
             daemon_.port);
    says(run_to(0, command).out, "4x8_i8w8a32_14_15_16_17");
    snprintf(command, sizeof command, "info --port %d", daemon_.port);
    says(run_to(0, command).out, "1x16_i8w8a32_15_15_18_17");

    snprintf(command, sizeof command, "run --port %d --hw hw.json add.vta add --random",
             daemon_.port);
    says(run_to(1, command).err, "add.vta: hardware differs: LOG_BLOCK is 3 here, 4 is wanted");
    says(run_to(0, "info --local --bitstream 4x8_i8w8a32_14_15_16_17").out, "4x8_");
    says(run_to(0, "info --local --bitstream vta.bit").out, "1x16_i8w8a32_15_15_18_17");
    says(run_to(1, "info --local --bitstream 3x8_i8w8a32_14_15_16_17").err, "power of two");
    says(run_to(2, "info --local --hw hw.json --bitstream 4x8").err, "--hw does not go with");
    daemon_stop(&daemon_);
}

/* ---- Progress ------------------------------------------------------------------------------ */

/* big.vta, whose weights are 4 MiB: several chunks on their way to the board. */
static void write_big_module(void)
{
    struct vta_module_image image = { 0 };
    struct vta_matmul matmul = { .batch = 1, .in = 2048, .out = 2048 };
    struct vta_kernel kernel;
    struct vta_error error;

    vta_hw_default(&image.hw);
    cr_assert_eq(vta_compile_matmul(&kernel, &image.hw, "big", &matmul, &error), 0, "%s",
                 error.message);
    cr_assert_eq(vta_module_image_add(&image, &kernel, &error), 0, "%s", error.message);
    cr_assert_eq(vta_module_save(&image, "big.vta", &error), 0, "%s", error.message);
    vta_kernel_clear(&kernel);
    vta_module_image_clear(&image);
}

/* Runs "vtactl run --local big.vta big --random" with standard error on a terminal; what the
 * terminal showed goes to text. */
static void run_on_terminal(const char *flag, char *text, size_t size)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY), status;
    size_t length = 0;
    ssize_t n;

    cr_assert_geq(terminal, 0);
    cr_assert_eq(grantpt(terminal), 0);
    cr_assert_eq(unlockpt(terminal), 0);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        dup2(open(ptsname(terminal), O_WRONLY | O_NOCTTY), STDERR_FILENO);
        dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
        execl(VTACTL_PATH, VTACTL_PATH, "run", "--local", "big.vta", "big", "--random", flag,
              (char *)NULL);
        _exit(127);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
    cr_assert_eq(fcntl(terminal, F_SETFL, O_NONBLOCK), 0);
    while (length < size - 1 && (n = read(terminal, text + length, size - 1 - length)) > 0)
        length += (size_t)n;
    text[length] = '\0';
    close(terminal);
}

Test(vtactl, progress_of_long_transfers_is_shown_on_a_terminal_only)
{
    char shown[4096];

    write_big_module();
    run_on_terminal("--stats", shown, sizeof shown);
    says(shown, "of 4 MiB, ");
    run_on_terminal("--json", shown, sizeof shown);
    cr_assert_str_eq(shown, "");
    cr_assert_str_eq(run_to(0, "run --local big.vta big --random").err, "");
}

/* ---- With a daemon ------------------------------------------------------------------------- */

static void serve(const char *const *flags)
{
    char port[16];

    daemon_start(&daemon_, flags);
    snprintf(port, sizeof port, "%d", daemon_.port);
    setenv("VTA_RPC_PORT", port, 1);
    unsetenv("VTA_RPC_HOST");
}

Test(vtactl, does_with_a_daemon_what_it_does_without)
{
    serve(NULL);
    run_to(0, "run add.vta add a.bin b.bin --out out=one.bin --check --repeat 2");
    expect_sums("one.bin");
    says(run_to(0, "info").out, "vtad " VTAD_VERSION);
    says(run_to(0, "ping -c 3").out, "3 round trips");
    says(run_to(0, "bench add.vta add").out, "add: mean ");
    says(run_to(0, "ping -c 1").out, "1 round trip: min ");
    says(run_to(0, "bench add.vta add --repeat 1").out, "(1 measurement, min ");
    cr_assert_eq(strncmp(run_to(0, "counters").out, "Execution statistics:\n", 22), 0);
    says(run_to(0, "counters").out, "gemm_counter");
    says(run_to(1, "rm none.vta").err, "none.vta");
    says(run_to(0, "upload add.vta").err, "ends with this session");
    daemon_stop(&daemon_);
}

Test(vtactl, modules_are_described_to_machines_too)
{
    char store[128];

    snprintf(store, sizeof store, "%s/store", daemon_.dir);
    cr_assert_eq(mkdir(store, 0700), 0);
    serve((const char *[]){ "--store", store, NULL });
    cJSON *json = run_json(0, "upload add.vta kept.vta --json");
    cr_assert_str_eq(text(json, "name"), "kept.vta");
    cr_assert_eq(strlen(text(json, "digest")), 64);
    cJSON_Delete(json);
    json = run_json(0, "download kept.vta back.vta --json");
    cr_assert_str_eq(text(json, "file"), "back.vta");
    cr_assert_gt(number(json, "bytes"), 0);
    cJSON_Delete(json);
    json = run_json(0, "rm kept.vta --json");
    cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "removed")), 1);
    cJSON_Delete(json);
    json = run_json(1, "rm kept.vta --json");
    cr_assert_str_eq(text(cJSON_GetObjectItem(json, "error"), "code"), "not-found");
    cJSON_Delete(json);
    daemon_stop(&daemon_);
}

Test(vtactl, store_keeps_what_was_uploaded_until_it_is_removed)
{
    char store[128];
    static char before[16384], after[16384];

    snprintf(store, sizeof store, "%s/store", daemon_.dir);
    cr_assert_eq(mkdir(store, 0700), 0);
    serve((const char *[]){ "--store", store, NULL });
    says(run_to(0, "upload add.vta kept.vta").out, "kept.vta");
    says(run_to(0, "ls").out, "kept.vta\n");
    run_to(0, "download kept.vta back.vta");
    slurp("add.vta", before, sizeof before);
    slurp("back.vta", after, sizeof after);
    cr_assert_arr_eq(before, after, sizeof before);
    run_to(0, "run kept.vta add a.bin b.bin --out out=one.bin --check");
    expect_sums("one.bin");
    cJSON *json = run_json(0, "ls --json");
    cr_assert_str_eq(text(cJSON_GetArrayItem(json, 0), "name"), "kept.vta");
    cr_assert(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetArrayItem(json, 0), "stored")));
    cJSON_Delete(json);
    run_to(0, "rm kept.vta");
    cr_assert_str_eq(run_to(0, "ls").out, "");
    daemon_stop(&daemon_);
}
