if(NOT TARGET sweep)
  return()
endif()
find_package(Python3 COMPONENTS Interpreter REQUIRED)

# sweep_add_e2e(name script LABELS … ENVIRONMENT …): a Python program that drives the real `sweep`.
function(sweep_add_e2e name script)
  cmake_parse_arguments(arg "" "TIMEOUT" "LABELS;ENVIRONMENT" ${ARGN})
  add_test(NAME ${name} COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/e2e/${script})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
  set_property(TEST ${name} PROPERTY ENVIRONMENT
    "SWEEP_PROGRAM=$<TARGET_FILE:sweep>;SWEEP_SOURCE_DIR=${PROJECT_SOURCE_DIR};${arg_ENVIRONMENT}")
endfunction()

sweep_add_e2e(sweep_e2e sweep_e2e_test.py LABELS e2e TIMEOUT 600)
sweep_add_e2e(scripted_slurm_e2e scripted_slurm_test.py LABELS e2e TIMEOUT 300)
sweep_add_e2e(scripted_slurm_long scripted_slurm_test.py LABELS "e2e;long" TIMEOUT 900
  ENVIRONMENT "SCRIPTED_SLURM_RUNS=5000")
sweep_add_e2e(processes_e2e processes_test.py LABELS e2e TIMEOUT 300)
sweep_add_e2e(output_e2e output_test.py LABELS e2e TIMEOUT 900)
sweep_add_e2e(cooldown_e2e cooldown_test.py LABELS e2e TIMEOUT 300)
sweep_add_e2e(law_e2e real_training_test.py LABELS e2e TIMEOUT 900)
sweep_add_e2e(shards_e2e shards_test.py LABELS e2e TIMEOUT 300)
# Damaged and foreign files in the folders of runs, and trainers that lie.
sweep_add_e2e(foreign_files_e2e foreign_files_test.py LABELS crash TIMEOUT 600
  ENVIRONMENT "SWEEP_SANITIZE=${SWEEP_SANITIZE}")
sweep_add_e2e(lying_trainers_e2e lying_trainers_test.py LABELS crash TIMEOUT 300 ENVIRONMENT "LYING_TRAINERS=12")
sweep_add_e2e(lying_trainers_long lying_trainers_test.py LABELS "crash;long" TIMEOUT 3600 ENVIRONMENT "LYING_TRAINERS=200")
# What was lost, damaged or came from somebody else among a store's own files.
sweep_add_e2e(damaged_stores_e2e damaged_stores_test.py LABELS crash TIMEOUT 300 ENVIRONMENT "DAMAGED_STORES=15")
sweep_add_e2e(damaged_stores_long damaged_stores_test.py LABELS "crash;long" TIMEOUT 7200 ENVIRONMENT "DAMAGED_STORES=1000")
if(SWEEP_SANITIZE)
  sweep_add_e2e(store_files_e2e store_files_test.py LABELS crash TIMEOUT 600
    ENVIRONMENT "SWEEP_SANITIZE=${SWEEP_SANITIZE}")
else()
  sweep_add_e2e(store_files_e2e store_files_test.py LABELS crash TIMEOUT 600
    ENVIRONMENT "FAULT_SHIM=$<TARGET_FILE:fault_shim>")
endif()
# A real task-spooler; skipped where it is not installed.
sweep_add_e2e(command_e2e command_executor_test.py LABELS e2e TIMEOUT 300)
# A real Slurm on this machine; skipped where its packages are missing or the user is not root.
if(TARGET clip_train)
  sweep_add_e2e(slurm slurm_test.py LABELS slurm TIMEOUT 1500 ENVIRONMENT "SLURM_TEST_SAMPLES=500000")
endif()
# The same with accounts (slurmdbd); once is enough of the forty seconds that it waits.
if(NOT SWEEP_SANITIZE)
  sweep_add_e2e(slurm_accounts slurm_accounts_test.py LABELS slurm TIMEOUT 300)
endif()
# A sanitized program cannot be preloaded into.
if(NOT SWEEP_SANITIZE)
  sweep_add_e2e(faults faults_test.py LABELS crash TIMEOUT 600
    ENVIRONMENT "FAULT_SHIM=$<TARGET_FILE:fault_shim>;FAULT_EVERY=25;RANDOM_KILLS=15")
  sweep_add_e2e(faults_long faults_test.py LABELS "crash;long" TIMEOUT 7200
    ENVIRONMENT "FAULT_SHIM=$<TARGET_FILE:fault_shim>;FAULT_EVERY=1;RANDOM_KILLS=300")
  sweep_add_e2e(odd_file_systems odd_file_systems_test.py LABELS e2e TIMEOUT 300
    ENVIRONMENT "ERRNO_SHIM_LIBRARY=$<TARGET_FILE:errno_shim>")
  sweep_add_e2e(power_loss power_loss_test.py LABELS crash TIMEOUT 600
    ENVIRONMENT "RECORD_SHIM=$<TARGET_FILE:record_shim>;POWER_LOSSES=20")
  sweep_add_e2e(power_loss_long power_loss_test.py LABELS "crash;long" TIMEOUT 7200
    ENVIRONMENT "RECORD_SHIM=$<TARGET_FILE:record_shim>;POWER_LOSSES=600")
endif()
