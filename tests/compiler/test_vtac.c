/* test_vtac.c: the tool as a process: what it prints, what it writes, how it exits. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cjson/cJSON.h>
#include <vta/build.h>
#include <vta/module.h>

static char folder[64];
static char *output; /* of the last run, stdout and stderr together */

static void start(void)
{
    strcpy(folder, "/tmp/vtac-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(chdir(folder), 0);
}

static void stop(void)
{
    char command[128];
    free(output);
    snprintf(command, sizeof command, "rm -r %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(vtac, .init = start, .fini = stop);

/* Runs "vtac ARGUMENTS" through the shell; returns the exit status. */
static int vtac(const char *arguments)
{
    char command[1024];
    size_t size;
    snprintf(command, sizeof command, "'%s' %s 2>&1", getenv("VTAC"), arguments);
    FILE *pipe = popen(command, "r");
    free(output);
    FILE *text = open_memstream(&output, &size);
    for (int c; (c = fgetc(pipe)) != EOF;)
        fputc(c, text);
    fclose(text);
    int status = pclose(pipe);
    cr_assert(WIFEXITED(status), "vtac %s crashed", arguments);
    return WEXITSTATUS(status);
}

static void expect(const char *words)
{
    cr_assert_not_null(strstr(output, words), "no '%s' in: %s", words, output);
}

#define TUTORIAL                                                                                   \
    "--batch 1 --in 1024 --out 1024 --block 1,256,256 --shift 8 --clip 0,127 --name my_gemm"

Test(vtac, compiles_the_tutorials_matmul_and_shows_its_counters)
{
    cr_assert_eq(vtac("matmul " TUTORIAL " -o gemm.vta"), 0, "%s", output);
    cr_assert_eq(vtac("show gemm.vta"), 0);
    expect("1x16_i8w8a32_15_15_18_17");
    expect("data     int8 (1, 64, 1, 16)  1024 bytes, INP tiles, read\n");
    expect("wgt_load_nbytes           1048576\n");
    expect("uop_load_nbytes                20\n");
    expect("alu_counter                   192\n");
}

Test(vtac, shows_a_module_as_json)
{
    cr_assert_eq(vtac("matmul " TUTORIAL " --bias -o gemm.vta"), 0, "%s", output);
    cr_assert_eq(vtac("show --json gemm.vta"), 0);
    cJSON *json = cJSON_Parse(output);
    cr_assert_not_null(json, "%s", output);
    const cJSON *function = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "functions"), 0);
    const cJSON *params = cJSON_GetObjectItem(function, "params");
    const cJSON *counters = cJSON_GetObjectItem(function, "counters");
    cr_assert_str_eq(cJSON_GetObjectItem(function, "name")->valuestring, "my_gemm");
    cr_assert_eq(cJSON_GetArraySize(params), 4);
    cr_assert_str_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(params, 2), "name")->valuestring,
                     "bias");
    cr_assert_eq(cJSON_GetObjectItem(counters, "gemm_counter")->valueint, 4096);
    cr_assert_eq(cJSON_GetObjectItem(counters, "acc_load_nbytes")->valueint, 4096);
    cJSON_Delete(json);
}

Test(vtac, writes_name_dot_vta_without_o)
{
    cr_assert_eq(vtac("matmul --in 32 --out 32 --name small"), 0, "%s", output);
    cr_assert_eq(access("small.vta", R_OK), 0);
}

Test(vtac, writes_the_same_bytes_to_standard_output)
{
    cr_assert_eq(vtac("matmul --in 32 --out 32 -o a.vta"), 0);
    cr_assert_eq(vtac("matmul --in 32 --out 32 -o - >b.vta"), 0);
    cr_assert_eq(system("cmp a.vta b.vta"), 0);
}

Test(vtac, takes_another_hardware_configuration)
{
    FILE *file = fopen("config.json", "w");
    fputs("{\"LOG_BATCH\": 2, \"LOG_BLOCK\": 3, \"LOG_UOP_BUFF_SIZE\": 14, "
          "\"LOG_WGT_BUFF_SIZE\": 16, \"LOG_ACC_BUFF_SIZE\": 17}",
          file);
    fclose(file);
    cr_assert_eq(vtac("matmul --config config.json --in 64 --out 64 -o f.vta"), 0, "%s", output);
    expect("4x8_i8w8a32_14_15_16_17");
    cr_assert_eq(vtac("verify f.vta"), 0, "%s", output);
}

Test(vtac, disassembles_one_function_or_all)
{
    cr_assert_eq(vtac("matmul " TUTORIAL " -o gemm.vta"), 0);
    cr_assert_eq(vtac("disasm gemm.vta my_gemm"), 0);
    expect("my_gemm: ");
    expect("uop[1,2) 16×16");
    cr_assert_eq(vtac("disasm gemm.vta"), 0);
    expect("FINISH");
    cr_assert_eq(vtac("disasm gemm.vta other"), 1);
    expect("vtac disasm: gemm.vta: no function 'other'; it has my_gemm\n");
    cr_assert_eq(vtac("disasm gemm.vta my_gem"), 1);
    expect("did you mean 'my_gemm'?");
}

Test(vtac, verifies_what_it_compiles)
{
    cr_assert_eq(vtac("matmul " TUTORIAL " -o gemm.vta"), 0);
    cr_assert_eq(vtac("verify gemm.vta"), 0);
    cr_assert_str_eq(output, "gemm.vta: my_gemm: accepted\n");
}

/* A module whose second function uses more micro-ops than anything has loaded. */
static void write_refused_module(void)
{
    struct vta_module_image image = { 0 };
    struct vta_error error;
    vta_hw_default(&image.hw);
    for (int i = 0; i < 2; i++) {
        struct vta_kernel kernel;
        struct vta_uop_index uop = { 0, 0, 0 };
        struct vta_uop_kernel one = { NULL, 0, &uop, 1 };
        struct vta_build *build = vta_build_new(&image.hw, i == 0 ? "good" : "bad");
        vta_build_gemm(build, &one, true);
        cr_assert_eq(vta_build_finish(build, &kernel, &error), 0, "%s", error.message);
        if (i == 1) /* the GEMM is insn 1; its uop_end starts at bit 21 */
            kernel.insns[16 + 2] |= 0x80;
        cr_assert_eq(vta_module_image_add(&image, &kernel, &error), 0);
    }
    cr_assert_eq(vta_module_save(&image, "two.vta", &error), 0, "%s", error.message);
    vta_module_image_clear(&image);
}

Test(vtac, prints_each_refusal_and_exits_1)
{
    write_refused_module();
    cr_assert_eq(vtac("verify two.vta"), 1);
    expect("two.vta: good: accepted\n");
    expect("two.vta: bad: refused: insn 1 GEMM");
    cr_assert_eq(vtac("show two.vta"), 1);
    expect("refused: insn 1 GEMM");
    cr_assert_eq(vtac("show --json two.vta"), 1);
    expect("\"refused\":");
    cr_assert_eq(vtac("disasm two.vta"), 0);
}

/* A function that multiplies without waiting for its weights, one that does right, and one that
 * multiplies by an immediate. */
static void write_racing_module(void)
{
    struct vta_module_image image = { 0 };
    struct vta_error error;
    vta_hw_default(&image.hw);
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = { "racing", "ordered", "multiplying" };
        const struct vta_tensor_type type = { { VTA_DTYPE_INT, 8 }, 1, { 256 } };
        struct vta_kernel kernel;
        struct vta_uop_index uop = { 0, 0, 0 };
        struct vta_uop_kernel one = { NULL, 0, &uop, 1 };
        struct vta_build *build = vta_build_new(&image.hw, names[i]);
        int weights = vta_build_param(build, "weights", &type, VTA_MEM_WGT, VTA_ACCESS_READ);
        int data = vta_build_param(build, "data", &type, VTA_MEM_INP, VTA_ACCESS_READ);
        vta_build_gemm(build, &one, true);
        vta_build_load(build, data, 0, 1, 1, 1, NULL, 0, VTA_MEM_INP);
        vta_build_load(build, weights, 0, 1, 1, 1, NULL, 0, VTA_MEM_WGT);
        if (i != 0) {
            vta_build_push(build, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE);
            vta_build_pop(build, VTA_UNIT_LOAD, VTA_UNIT_COMPUTE);
        }
        vta_build_gemm(build, &one, false);
        if (i == 2)
            vta_build_alu_imm(build, &one, VTA_ALU_MUL, 3);
        cr_assert_eq(vta_build_finish(build, &kernel, &error), 0, "%s", error.message);
        cr_assert_eq(vta_module_image_add(&image, &kernel, &error), 0);
    }
    cr_assert_eq(vta_module_save(&image, "racing.vta", &error), 0, "%s", error.message);
    vta_module_image_clear(&image);
}

Test(vtac, checks_what_it_compiles)
{
    cr_assert_eq(vtac("matmul " TUTORIAL " --bias -o gemm.vta"), 0);
    cr_assert_eq(vtac("check --strict-board gemm.vta"), 0);
    cr_assert_str_eq(output, "gemm.vta: my_gemm: accepted, no hazards\n");
}

Test(vtac, prints_each_hazard_and_exits_1)
{
    write_racing_module();
    cr_assert_eq(vtac("check racing.vta"), 1);
    expect("racing.vta: racing: race: INP 0: insn 2 LOAD writes what insn 5 GEMM reads");
    expect("racing.vta: racing: race: WGT 0: insn 3 LOAD writes what insn 5 GEMM reads");
    expect("ordered by: a push load→compute at or after insn 3, matched by a pop at or before");
    expect("racing.vta: ordered: accepted, no hazards\n");
    expect("racing.vta: multiplying: accepted, no hazards\n");
    cr_assert_eq(vtac("check --strict-board racing.vta"), 1);
    expect("racing.vta: multiplying: board-mul: insn ");
    cr_assert_eq(vtac("verify racing.vta"), 0, "%s", output);
    write_refused_module();
    cr_assert_eq(vtac("check two.vta"), 1);
    expect("two.vta: good: accepted, no hazards\n");
    expect("two.vta: bad: refused: insn 1 GEMM");
}

Test(vtac, prints_hazards_as_json)
{
    write_racing_module();
    cr_assert_eq(vtac("check --json racing.vta"), 1);
    cJSON *json = cJSON_Parse(output);
    cr_assert_not_null(json, "%s", output);
    const cJSON *functions = cJSON_GetObjectItem(json, "functions");
    const cJSON *racing = cJSON_GetArrayItem(functions, 0);
    const cJSON *hazards = cJSON_GetObjectItem(racing, "hazards");
    const cJSON *weights = cJSON_GetArrayItem(hazards, 1);
    cr_assert_eq(cJSON_GetArraySize(functions), 3);
    cr_assert(cJSON_IsFalse(cJSON_GetObjectItem(racing, "ok")));
    cr_assert(cJSON_IsTrue(cJSON_GetObjectItem(racing, "complete")));
    cr_assert_eq(cJSON_GetObjectItem(cJSON_GetObjectItem(racing, "found"), "race")->valueint, 2);
    cr_assert_eq(cJSON_GetArraySize(hazards), 2);
    cr_assert_str_eq(cJSON_GetObjectItem(weights, "kind")->valuestring, "race");
    cr_assert_str_eq(cJSON_GetObjectItem(weights, "memory")->valuestring, "WGT");
    cr_assert_eq(cJSON_GetObjectItem(weights, "insn")->valueint, 3);
    cr_assert_eq(cJSON_GetObjectItem(weights, "end")->valueint, 1);
    cr_assert(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetArrayItem(functions, 1), "ok")));
    cJSON_Delete(json);
}

Test(vtac, draws_one_function_and_leaves_no_broken_file)
{
    write_racing_module();
    cr_assert_eq(vtac("time --trace a.json racing.vta"), 1);
    expect("--trace shows one function, the module has 3: name one, as 'racing'");
    cr_assert_eq(vtac("time --trace a.json --svg a.svg racing.vta ordered"), 0, "%s", output);
    cr_assert_eq(access("a.json", R_OK) + access("a.svg", R_OK), 0);
    cr_assert_eq(vtac("time --svg no/such/folder racing.vta ordered"), 1);
    expect("no/such/folder: No such file or directory");
    cr_assert_eq(vtac("time --svg /dev/full racing.vta ordered"), 1);
    expect("/dev/full: ");
}

Test(vtac, prints_every_step_of_a_schedule_or_one)
{
    cr_assert_eq(vtac("schedule " TUTORIAL), 0);
    expect("// definition\nfor b in 0..1:\n");
    expect("// blocked\nfor bo in 0..1:\n");
    expect("// lowered\npush store→compute");
    cr_assert_eq(vtac("schedule " TUTORIAL " --step blocked"), 0);
    cr_assert_eq(strncmp(output, "for bo in 0..1:", 15), 0, "%s", output);
    cr_assert_eq(vtac("schedule " TUTORIAL " --step lowerd"), 2);
    expect("did you mean 'lowered'?");
}

Test(vtac, names_the_sram_that_a_block_does_not_fit)
{
    cr_assert_eq(vtac("matmul --in 1024 --out 1024 --block 1,1024,1024"), 1);
    expect("1048576 bytes of the WGT SRAM, which has 262144");
}

Test(vtac, predicts_a_functions_time_and_says_why)
{
    cr_assert_eq(vtac("matmul " TUTORIAL " -o gemm.vta"), 0, "%s", output);
    cr_assert_eq(vtac("time gemm.vta"), 0, "%s", output);
    expect("my_gemm: ");
    expect(" ms a call on 1x16-2019-11\n");
    expect("load-bound 9");
    expect(" of 256 MACs a cycle");
    expect(" of 800 MB/s");
    cr_assert_eq(vtac("time --profile ultra96 gemm.vta my_gemm"), 0, "%s", output);
    expect("a call on ultra96 (not measured)\n");
    cr_assert_eq(vtac("matmul --in 32 --out 32 --name ''"), 2);
    expect("vtac matmul: --name takes a name of 1 to 255 bytes, not 0\n");
    cr_assert_eq(vtac("time gemm.vta other"), 1);
    expect("vtac time: gemm.vta: no function 'other'; it has my_gemm\n");
    cr_assert_eq(vtac("time gemm.vta my_gem"), 1);
    expect("did you mean 'my_gemm'?");
    cr_assert_eq(vtac("time --profile utra96 gemm.vta"), 1);
    expect("did you mean 'ultra96'?");
}

Test(vtac, predicts_times_as_json_that_add_up)
{
    cr_assert_eq(vtac("matmul " TUTORIAL " -o gemm.vta"), 0, "%s", output);
    cr_assert_eq(vtac("time --json gemm.vta"), 0, "%s", output);
    cJSON *json = cJSON_Parse(output), *item;
    cr_assert_not_null(json, "%s", output);
    cr_assert_str_eq(cJSON_GetObjectItem(json, "profile")->valuestring, "1x16-2019-11");
    const cJSON *function = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "functions"), 0);
    double cycles = cJSON_GetObjectItem(function, "cycles")->valuedouble, path = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(function, "critical_path"))
    {
        path += item->valuedouble;
    }
    cr_assert_float_eq(path, cycles, 0.5);
    cr_assert_float_eq(cJSON_GetObjectItem(function, "total_ns")->valuedouble,
                       cJSON_GetObjectItem(function, "device_ns")->valuedouble +
                           cJSON_GetObjectItem(function, "host_ns")->valuedouble,
                       0.5);
    cr_assert_eq(cJSON_GetObjectItem(function, "macs")->valuedouble, 4096. * 256);
    cJSON_Delete(json);
}

/* A recorded case of a store's no-op and FINISH, on a board of this name. */
static void write_case(const char *name, const char *bitstream, double seconds)
{
    static const uint8_t insns[32] = { [0] = 0x21, [1] = 0x02, [16] = 0x13 };
    char path[128];
    snprintf(path, sizeof path, "mkdir %s", name);
    cr_assert_eq(system(path), 0);
    snprintf(path, sizeof path, "%s/insn.bin", name);
    FILE *file = fopen(path, "w");
    cr_assert_eq(fwrite(insns, 1, sizeof insns, file), sizeof insns);
    fclose(file);
    snprintf(path, sizeof path, "%s/case.json", name);
    file = fopen(path, "w");
    fprintf(file,
            "{\"name\": \"%s\", \"hw\": {\"LOG_BLOCK\": 4}, \"insn_count\": 2,\n"
            " \"counters\": {\"inp_load_nbytes\": 0, \"wgt_load_nbytes\": 0,\n"
            "  \"acc_load_nbytes\": 0, \"uop_load_nbytes\": 0, \"out_store_nbytes\": 0,\n"
            "  \"gemm_counter\": 0, \"alu_counter\": 0},\n"
            " \"tokens_before\": {\"load_to_compute\": 0, \"compute_to_load\": 0,\n"
            "  \"compute_to_store\": 0, \"store_to_compute\": 0},\n"
            " \"tokens_after\": {\"load_to_compute\": 0, \"compute_to_load\": 0,\n"
            "  \"compute_to_store\": 0, \"store_to_compute\": 0},\n"
            " \"measured_s\": [%g, %g, %g], \"bitstream\": \"%s\"}\n",
            name, seconds * 2, seconds / 2, seconds, bitstream);
    fclose(file);
}

Test(vtac, fits_a_profile_to_measured_cases_and_writes_it)
{
    write_case("one", "board-a", 100e-6);
    write_case("two", "board-b", 50e-6);
    cr_assert_eq(vtac("tune-profile one two"), 0, "%s", output);
    expect("board-a, 1 case\n");
    expect("  one                           0.100 ");
    expect("  error      median ");
    cr_assert_eq(vtac("tune-profile -o a.json one"), 0, "%s", output);
    cr_assert_eq(vtac("matmul " TUTORIAL " -o gemm.vta"), 0, "%s", output);
    cr_assert_eq(vtac("time --profile a.json gemm.vta"), 0, "%s", output);
    expect("a call on board-a\n");
    cr_assert_eq(vtac("tune-profile -o . one two"), 0, "%s", output);
    cr_assert_eq(access("board-a.json", R_OK) | access("board-b.json", R_OK), 0);
}

Test(vtac, says_which_cases_cannot_be_fitted)
{
    write_case("one", "board-a", 100e-6);
    write_case("two", "board-b", 50e-6);
    cr_assert_eq(vtac("tune-profile -o a.json one two"), 1);
    expect("2 builds need a folder to write to");
    cr_assert_eq(vtac("tune-profile nowhere"), 1);
    expect("nowhere");
    cr_assert_eq(vtac("tune-profile"), 2);
    expect("no case given");
}

Test(vtac, suggests_the_nearest_command_and_option)
{
    cr_assert_eq(vtac("matmull"), 2);
    expect("unknown command 'matmull': did you mean 'matmul'?");
    cr_assert_eq(vtac("matmul --blok 1,16,16"), 2);
    expect("unknown option '--blok': did you mean '--block'?");
    cr_assert_eq(vtac("show --jsn=1 x"), 2);
    expect("did you mean '--json'?");
}

Test(vtac, exits_2_for_wrong_usage)
{
    static const char *const wrong[] = { "",
                                         "matmul",
                                         "matmul --in",
                                         "matmul --in 16x --out 16",
                                         "matmul --in 16 --out 16 extra",
                                         "matmul --in 16 --out 16 --block 16,16",
                                         "matmul --in 16 --out 16 --shift 32",
                                         "matmul --in 16 --out 16 --clip 1",
                                         "matmul --in -16 --out 16",
                                         "show",
                                         "show a b",
                                         "verify",
                                         "disasm a b c",
                                         "verify -o x" };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(vtac(wrong[i]), 2, "vtac %s: %s", wrong[i], output);
}

Test(vtac, exits_1_for_files_that_cannot_be_read_or_written)
{
    static const char *const failing[] = { "show missing.vta",
                                           "verify missing.vta",
                                           "disasm missing.vta",
                                           "matmul --in 16 --out 16 --config missing.json",
                                           "matmul --in 16 --out 16 -o missing/f.vta",
                                           "matmul --in 16 --out 16 -o - >/dev/full" };
    for (size_t i = 0; i < sizeof failing / sizeof failing[0]; i++)
        cr_assert_eq(vtac(failing[i]), 1, "vtac %s: %s", failing[i], output);
}

Test(vtac, describes_itself_and_every_command)
{
    static const char *const commands[] = { "matmul", "schedule", "show",
                                            "disasm", "verify",   "check" };
    cr_assert_eq(vtac("--version"), 0);
    cr_assert_eq(strncmp(output, "vtac ", 5), 0);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char arguments[64], usage[64];
        cr_assert_eq(vtac("--help"), 0);
        expect(commands[i]);
        snprintf(arguments, sizeof arguments, "%s --help", commands[i]);
        snprintf(usage, sizeof usage, "usage: vtac %s ", commands[i]);
        cr_assert_eq(vtac(arguments), 0);
        expect(usage);
    }
}
