/* abi_state.h: what machine code leaves behind in a process: tensors, workspaces, threads, the last
 * error. For whoever calls machine code, not for it.
 */
#ifndef VTA_WORKER_ABI_STATE_H
#define VTA_WORKER_ABI_STATE_H

#include <stdbool.h>

#include "function.h"

/* Forgets the calling thread's last error, before a call into machine code. */
void abi_forget_error(void);
/* Why machine code returned `status`, which is not 0: VTA_EINVAL with the error that was set since,
 * if one was. */
int abi_take_error(int status, struct vta_error *error);

/* Takes a tensor over from machine code, which has returned it. False where TVMArrayAlloc did not
 * make it, it was freed, or taken over before. */
bool abi_take_array(const struct tvm_tensor *tensor);
/* Hands such a tensor back to machine code. */
void abi_give_array(const struct tvm_tensor *tensor);

/* A tensor as `like`, whose data lies in the memory, of which it holds a reference: a result that
 * the receiver frees (TVMArrayFree). NULL with VTA_ENOMEM. */
struct memory;
struct tvm_tensor *abi_view(struct memory *memory, const struct tvm_tensor *like,
                            struct vta_error *error);

/* Frees the text or bytes that the calling thread's last call returned, for when it ends. */
void abi_forget_returned(void);

/* Frees tensors and workspaces that are left and ends the threads. No machine code runs, and what
 * is on the device is freed while the runtime is still there. */
void abi_clear(struct worker *worker);

#endif
