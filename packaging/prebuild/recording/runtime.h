/* What the two parts of the stand-in share. */
#pragma once

/* A number from the environment. */
int number_of(const char* name, int otherwise);

/* Do what a kernel is scripted to do, or keep it where `stream` captures. */
void run_or_capture(const char* symbol, const void* arguments, void* stream);
